"""A live view of a search: which fit runs where, how far it is, and the best candidate so far."""
