"""The executors that come with ffnn, one per module."""
