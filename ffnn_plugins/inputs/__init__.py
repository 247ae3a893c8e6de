"""The inputs that come with ffnn, one a module."""
