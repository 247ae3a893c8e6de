"""The layers that come with ffnn, one a module."""
