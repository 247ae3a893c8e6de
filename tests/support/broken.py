"""Deliberately broken plugins, and the clause of its suite that each fails."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

DID_NOT_HOLD = (AssertionError, pytest.fail.Exception)


class Broken(NamedTuple):
    """A plugin, the test that finds it out, and the arguments of that test."""

    plugin: Any
    clause: str
    arguments: tuple[Any, ...] = ()
    error: Any = DID_NOT_HOLD

    def __repr__(self) -> str:
        kind = self.plugin if isinstance(self.plugin, type) else type(self.plugin)
        return f"{kind.__name__}-{self.clause.removeprefix('test_')}"


def clauses(suite: type) -> set[str]:
    """Return the names of a suite's tests."""
    return {name for name in dir(suite) if name.startswith("test_")}


def check(suite: type, broken: Broken, **attributes: Any) -> None:
    """Check that a test of the suite fails for the plugin."""
    instance = type("Suite", (suite,), attributes)()
    with pytest.raises(broken.error):
        getattr(instance, broken.clause)(*broken.arguments)
