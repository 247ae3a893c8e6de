"""The check of a host's versions before the first task."""
