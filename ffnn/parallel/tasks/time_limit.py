"""The time limit of a fit in a task: checked after each epoch, and enforced by the process that owns the worker."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from ffnn.exceptions import TaskTimeoutError
from ffnn.parallel.tasks.imports import seconds_of_imports

__all__ = ["TimeLimit", "enforce", "working_time"]

_GRACE = 5.0  # seconds for a fit to end by itself
_enforcer: Callable[[float, str], None] | None = None


def enforce(enforcer: Callable[[float, str], None]) -> None:
    """Set the function that has this process ended: after so many seconds, infinity for never, and by which option."""
    global _enforcer
    _enforcer = enforcer


def working_time() -> float:
    """Return the time in seconds without imports, which every new worker repeats."""
    return time.perf_counter() - seconds_of_imports()


class TimeLimit:
    """A limit of the time that a fit may take, not counting imports; it holds within ``with``.

    A worker process is ended a few seconds later, whatever it is doing; in a worker thread only an estimator that
    reports its epochs is stopped.

    Parameters
    ----------
    seconds : float or None
        The time from the beginning of the context on; None for no limit.
    option : str
        The user's option with its value, for messages.
    """

    def __init__(self, seconds: float | None, option: str = "") -> None:
        self._seconds = seconds
        self._option = option
        self._until = math.inf

    def __enter__(self) -> TimeLimit:
        """Begin to count."""
        if self._seconds is not None:
            self._until = working_time() + self._seconds
            self._enforce(self._seconds + _GRACE)
        return self

    def __exit__(self, *error: object) -> None:
        """Lift the limit: what else the task does has none of this kind."""
        if self._seconds is not None:
            self._enforce(math.inf)

    def check(self) -> None:
        """Raise if the time is over.

        Raises
        ------
        TaskTimeoutError
            Which scikit-learn turns into ``error_score``.
        """
        if working_time() > self._until:
            raise TaskTimeoutError(f"the fit took longer than {self._option} seconds and was ended")

    def _enforce(self, seconds: float) -> None:
        if _enforcer is not None:
            _enforcer(seconds, self._option)
