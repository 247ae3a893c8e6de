"""The time limit of a fit in a task: checked after each epoch, and enforced by the process that owns the worker."""

from __future__ import annotations

import time
from collections.abc import Callable

from ffnn.exceptions import TaskTimeoutError
from ffnn.parallel.tasks.imports import seconds_of_imports

__all__ = ["TimeLimit", "enforce", "working_time"]

_GRACE = 5.0  # seconds for a fit to end by itself
_enforcer: Callable[[float, str], None] | None = None


def enforce(enforcer: Callable[[float, str], None]) -> None:
    """Set what is told of a limit: the seconds after which to end this process, and the option that says so."""
    global _enforcer
    _enforcer = enforcer


def working_time() -> float:
    """Return the time in seconds without imports, which every new worker repeats."""
    return time.perf_counter() - seconds_of_imports()


class TimeLimit:
    """A limit of the time that a fit may take, not counting imports.

    A worker process is ended a few seconds later, whatever it is doing; in a worker thread only an estimator that
    reports its epochs is stopped.

    Parameters
    ----------
    seconds : float or None
        The time from now on; None for no limit.
    shown : float or None
        The limit that the user has set.
    """

    def __init__(self, seconds: float | None, shown: float | None) -> None:
        self._option = f"fit_timeout={shown:g}" if shown is not None else ""
        self._until = None if seconds is None else working_time() + seconds
        if seconds is not None and _enforcer is not None:
            _enforcer(seconds + _GRACE, self._option)

    def check(self) -> None:
        """Raise if the time is over.

        Raises
        ------
        TaskTimeoutError
            Which scikit-learn turns into ``error_score``.
        """
        if self._until is not None and working_time() > self._until:
            raise TaskTimeoutError(f"the fit took longer than {self._option} seconds and was ended")
