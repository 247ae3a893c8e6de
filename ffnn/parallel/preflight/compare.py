"""The comparison of the versions in two Pythons."""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ffnn.parallel.preflight import versions

__all__ = ["NAMES", "PYTHON", "Difference", "Report", "check_ignore", "differences", "parse", "public", "report"]

PYTHON = "Python"
NAMES = (PYTHON, *versions.PACKAGES)
"""The names that are compared; any of them can be ignored."""


@dataclass(frozen=True)
class Report:
    """The versions in a Python.

    Attributes
    ----------
    python, implementation : str
        The version and the implementation, such as ``CPython``.
    platform, machine : str
        The system and the kind of processor, for messages.
    executable : str
        Its path.
    managed : bool
        Whether it belongs to the system, so that pip refuses to install into it.
    packages : mapping of str to (str or None)
        The version of each package that is compared, None if it is not installed.
    distributions : mapping of str to str
        The names of distributions that differ from the name of their package (``tensorflow-cpu``).
    """

    python: str
    implementation: str
    platform: str
    machine: str
    executable: str
    managed: bool
    packages: Mapping[str, str | None]
    distributions: Mapping[str, str]

    @property
    def language(self) -> str:
        """The part of Python's version that must agree, such as ``3.13``."""
        return ".".join(self.python.split(".")[:2])


@dataclass(frozen=True)
class Difference:
    """A difference: the name, and the version here and there (None: not installed)."""

    name: str
    here: str | None
    there: str | None

    def __str__(self) -> str:
        return f"{self.name}: {self.there or 'not installed'} there, {self.here or 'not installed'} here"


@functools.cache
def report() -> Report:
    """Return the report on this process's Python; looked up once per process."""
    return Report(**versions.look())


def parse(output: bytes) -> Report | None:
    """Parse the report of :mod:`ffnn.parallel.preflight.versions` from a command's output; None if there is none."""
    for line in reversed(output.decode("utf-8", "replace").splitlines()):
        if line.startswith(versions.MARKER):
            try:
                answer: dict[str, Any] = json.loads(line[len(versions.MARKER) :])
                return Report(**answer)
            except (ValueError, TypeError):
                continue
    return None


def differences(here: Report, there: Report) -> list[Difference]:
    """Return the differences that could change results.

    The first two numbers of Python's version and the versions of all packages must be equal, apart from local suffixes
    (``+cpu``). A package that is missing on both sides is not a difference.
    """
    found = []
    if (here.implementation, here.language) != (there.implementation, there.language):
        found.append(Difference(PYTHON, _python(here, there), _python(there, here)))
    for name in versions.PACKAGES:
        ours, theirs = here.packages.get(name), there.packages.get(name)
        if public(ours) != public(theirs):
            found.append(Difference(name, ours, theirs))
    return found


def check_ignore(names: object, parameter: str = "ignore_versions") -> tuple[str, ...]:
    """Check the names whose versions may differ, and return them as :data:`NAMES` spells them.

    Raises
    ------
    TypeError, ValueError
        If they are not a collection of names, or one of them is unknown.
    """
    known = {name.lower(): name for name in NAMES}
    if isinstance(names, str) or not isinstance(names, Collection):
        raise TypeError(f"{parameter} must be a list of names, for instance ['numpy']; got {names!r}.")
    for name in names:
        if not isinstance(name, str) or name.lower() not in known:
            near = difflib.get_close_matches({"sklearn": "scikit-learn"}.get(str(name), str(name)).lower(), known, n=1)
            hint = f" Did you mean {known[near[0]]!r}?" if near else ""
            raise ValueError(
                f"{parameter} must name things whose versions are compared ({', '.join(NAMES)}); got {name!r}.{hint}"
            )
    return tuple(known[name.lower()] for name in names)


def _python(one: Report, other: Report) -> str:
    return one.python if one.implementation == other.implementation else f"{one.python} ({one.implementation})"


def public(version: str | None) -> str | None:
    """Return a version without its local suffix."""
    return None if version is None else version.partition("+")[0]
