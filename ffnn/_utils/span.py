"""The time span of a task, which decides how long an executor may cache data of the task."""

from __future__ import annotations

import sys
import time
from typing import Any

__all__ = ["Span"]


class Span:
    """The time from a task's submission to its end, during which the caller must not modify its arguments.

    Attributes
    ----------
    importing : frozenset of str
        The modules that the submitting thread is importing, whose code is not complete yet.
    """

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._until: float | None = None
        self.importing: frozenset[str] = _modules_being_imported()

    def end(self) -> None:
        """Record that the task is about to end; only the first call has an effect."""
        if self._until is None:
            self._until = time.monotonic()

    @property
    def has_ended(self) -> bool:
        """Whether the task is about to end, or has ended."""
        return self._until is not None

    def covers_start_of(self, other: Span) -> bool:
        """Return whether this task was still running when the other one was submitted."""
        return self._until is None or self._until > other._since


def _modules_being_imported() -> frozenset[str]:
    names = set()
    frame = sys._getframe()
    while (above := frame.f_back) is not None:
        frame = above
        if frame.f_code.co_name == "<module>":
            spec: Any = frame.f_globals.get("__spec__")
            if getattr(spec, "_initializing", False):
                names.add(spec.name)
    return frozenset(names)
