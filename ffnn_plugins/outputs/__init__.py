"""The outputs that come with ffnn, one a module."""
