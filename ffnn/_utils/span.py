"""What an executor knows of the time of a task: it decides what may be remembered of the task's data."""

from __future__ import annotations

import sys
import time
from typing import Any

__all__ = ["Span"]


class Span:
    """The time from a task's submission to its end, during which its caller must not change its arguments.

    Attributes
    ----------
    importing : frozenset of str
        The modules that the thread which submits the task is importing, as the code of each is under way.
    """

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._until: float | None = None
        self.importing = _modules_under_way()

    def end(self) -> None:
        """Note that the task is about to be done; only the first call counts."""
        if self._until is None:
            self._until = time.monotonic()

    def covers_start_of(self, other: Span) -> bool:
        """Whether this task was not done yet when another was submitted."""
        return self._until is None or self._until > other._since


def _modules_under_way() -> frozenset[str]:
    names = set()
    frame = sys._getframe()
    while (above := frame.f_back) is not None:
        frame = above
        if frame.f_code.co_name == "<module>":
            spec: Any = frame.f_globals.get("__spec__")
            if getattr(spec, "_initializing", False):
                names.add(spec.name)
    return frozenset(names)
