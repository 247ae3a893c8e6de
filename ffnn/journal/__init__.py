"""``ffnn journal``: what a journal says of the searches that it records, for people and for other tools."""
