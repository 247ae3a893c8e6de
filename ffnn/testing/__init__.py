"""Conformance suites, one a kind: a plugin's tests inherit one and say how the plugin is made. They need pytest."""
