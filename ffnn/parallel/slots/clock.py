"""The clock of a task: how long it may still take."""

from __future__ import annotations

import math
import time

__all__ = ["TaskClock"]


class TaskClock:
    """Measures a task against its own limit and that of the fit that it runs; imports do not count.

    Parameters
    ----------
    task_timeout : float or None
        Seconds that the task may take.
    start_timeout : float
        Seconds until it must have started, and that an import may take.
    """

    def __init__(self, task_timeout: float | None, start_timeout: float) -> None:
        self._start_timeout = start_timeout
        self._task_limit = math.inf if task_timeout is None else task_timeout  # both limits are in seconds of work
        self._fit_limit = math.inf
        self._fit_option = ""
        self._worked = 0.0
        self._since: float | None = None  # when it last went on
        self.started: bool = False
        self.deadline: float | None = time.monotonic() + start_timeout
        """When the task is to be ended, in seconds of ``time.monotonic()``; None for never."""

    def go(self) -> None:
        """Note that the task begins, or goes on after an import."""
        self.started = True
        self._since = time.monotonic()
        self._set_deadline()

    def pause(self) -> None:
        """Note that the task imports a module."""
        self._worked, self._since = self._seconds_of_work(), None
        self._set_deadline()

    def limit_fit(self, seconds: float, option: str) -> None:
        """Limit what the task does from now on; infinity lifts the limit.

        Parameters
        ----------
        seconds : float
            How long it may take.
        option : str
            The user's option, for messages.
        """
        self._fit_limit, self._fit_option = self._seconds_of_work() + seconds, option
        self._set_deadline()

    @property
    def exceeded(self) -> str | None:
        """The option whose limit comes first, with its value; None if there is no limit."""
        if min(self._task_limit, self._fit_limit) == math.inf:
            return None
        return self._fit_option if self._fit_limit < self._task_limit else f"task_timeout={self._task_limit:g}"

    def _seconds_of_work(self) -> float:
        return self._worked if self._since is None else self._worked + time.monotonic() - self._since

    def _set_deadline(self) -> None:
        left = min(self._task_limit, self._fit_limit) - self._seconds_of_work()
        if left == math.inf:
            self.deadline = None
        else:
            self.deadline = time.monotonic() + (self._start_timeout if self._since is None else max(left, 0.0))
