"""An epoch of training: two kinds of runner, and the parts that they share."""
