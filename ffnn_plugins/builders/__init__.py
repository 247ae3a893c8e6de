"""The builders that come with ffnn in addition to the core's, one per module."""
