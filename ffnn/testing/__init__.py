"""Conformance suites, one for each kind of plugin; a plugin's tests inherit from one. They need pytest."""

from __future__ import annotations

import pytest

# makes failed assertions show their values
pytest.register_assert_rewrite(
    *(f"ffnn.testing.{name}" for name in ("_suite", "builders", "executors", "inputs", "layers", "outputs"))
)
