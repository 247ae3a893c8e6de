"""``ffnn journal show``: what a journal says of the searches that it records."""
