"""Helpers that do not depend on networks."""
