"""The built-in layers, one per module."""
