"""The base class of the suites: what a test class must say, and the builders that its tests run on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Generic, TypeVar

import pytest

from ffnn.exceptions import EngineNotInstalledError, FfnnError
from ffnn.plugins import registry
from ffnn.plugins.hookspecs import Kind

__all__ = ["PluginSuite", "Suite", "installed_builders"]


def installed_builders() -> list[str]:
    """Return the names of the registered builders whose engine is installed; raise for a broken builder.

    Those that take every network come first.
    """
    found = []
    for name in registry.names("builder"):
        try:
            registry.load("builder", name)().check_installed()
        except EngineNotInstalledError:
            continue
        found.append(name)
    return sorted(found, key=lambda name: name == "native")


class Suite:
    """Base class of the suites; tests that take ``builder_name`` run once for each installed builder."""

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Refuse a test class that lacks something, and parametrize the tests that take ``builder_name``."""
        for mistake in self._mistakes():
            pytest.fail(f"{type(self).__name__}: {mistake}", pytrace=False)
        if "builder_name" in metafunc.fixturenames:
            metafunc.parametrize("builder_name", installed_builders())

    @classmethod
    def _mistakes(cls) -> Iterator[str]:
        """Yield what keeps the tests from running: what is missing, what was expected, and an example."""
        yield from ()

    @classmethod
    def _lacks(cls, attribute: str, meaning: str, example: str) -> str:
        suite = next(base.__name__ for base in cls.__mro__ if base.__module__.startswith("ffnn.testing"))
        return f"{suite} needs `{attribute}`, {meaning}. For example:\n\n    {example}\n"


T = TypeVar("T")


class PluginSuite(Suite, Generic[T]):
    """Base class of the suites of plugins that are made by their registered name."""

    _kind: ClassVar[Kind]
    _base: ClassVar[type[Any]]
    name: ClassVar[str]

    def make(self) -> T:
        """Return the plugin as a user would give it: the attribute of its kind, else one made by its name."""
        given: T | None = getattr(self, self._kind)
        made: T = registry.load(self._kind, self.name)() if given is None else given
        return made

    @classmethod
    def _mistakes(cls) -> Iterator[str]:
        kind, given = cls._kind, getattr(cls, cls._kind)
        name = getattr(cls, "name", None)
        if not isinstance(name, str):
            yield cls._lacks("name", f"the name that the {kind} is registered under", 'name = "example"')
            return
        if given is not None and not isinstance(given, cls._base):
            got = f"the class {given.__name__}" if isinstance(given, type) else f"{given!r}"
            yield (
                f"the attribute `{kind}` must be an instance of {cls._base.__name__}, or None to make one by its name; "
                f"got {got}."
            )
            return
        try:
            if given is None and "make" not in _own(cls):
                registry.resolve(kind, name, kind, cls._base)
            else:
                registry.load(kind, name, "name")
        except FfnnError as error:
            yield f"{error} (The suite tests what is installed: python -m pip install -e .)"


def _own(cls: type) -> set[str]:
    """Return the names that a test class defines, and its bases outside ffnn."""
    return {name for base in cls.__mro__ if not base.__module__.startswith("ffnn.testing") for name in vars(base)}
