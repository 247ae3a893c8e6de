"""The executors that come with ffnn, one a module."""
