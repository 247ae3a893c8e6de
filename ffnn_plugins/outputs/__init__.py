"""The built-in outputs, one per module."""
