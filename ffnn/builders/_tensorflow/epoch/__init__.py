"""Training of an epoch: two kinds of runner, and the parts that they share."""
