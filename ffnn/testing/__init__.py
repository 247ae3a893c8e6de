"""Conformance suites, one a kind: a plugin's tests inherit one and say how the plugin is made. They need pytest."""

from __future__ import annotations

import pytest

# so that a failed assertion shows its values
pytest.register_assert_rewrite(
    *(f"ffnn.testing.{name}" for name in ("_suite", "builders", "executors", "inputs", "layers", "outputs"))
)
