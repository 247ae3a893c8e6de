"""The builders that come with ffnn beside the core's, one a module."""
