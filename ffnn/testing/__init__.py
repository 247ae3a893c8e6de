"""Conformance suites, one for each kind of plugin; a plugin's tests inherit from one. They need pytest."""

from __future__ import annotations

from pathlib import Path

import pytest

# makes failed assertions show their values
_modules = (file.stem for file in Path(__file__).parent.glob("*.py") if file.stem != "__init__")
pytest.register_assert_rewrite(*(f"ffnn.testing.{name}" for name in _modules))
