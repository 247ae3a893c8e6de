"""The built-in inputs, one per module."""
