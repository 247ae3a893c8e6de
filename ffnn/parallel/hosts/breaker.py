"""A circuit breaker: back-off after failures, and a longer rest after too many."""

from __future__ import annotations

import threading
import time

from ffnn.exceptions import ExecutorError

__all__ = ["Breaker"]

_MOST_FAILURES = 5  # in a row; then it is left out
_BACK_OFF = 0.5  # seconds after the first failure, doubled with each
_REST = 60.0  # seconds for which it is left out


class Breaker:
    """Counts consecutive failures of a host or a worker, and says when it may be tried again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._until = 0.0
        self._reason: ExecutorError | None = None

    @property
    def rest(self) -> float:
        """Seconds until it may be tried again."""
        return max(0.0, self._until - time.monotonic())

    @property
    def reason(self) -> ExecutorError | None:
        """The reason why it is left out at the moment; None if it is not."""
        with self._lock:
            return self._reason if self.rest else None

    def fail(self, error: ExecutorError, for_good: bool) -> tuple[bool, bool]:
        """Record a failure; return whether it is left out now, and whether it was not before."""
        with self._lock:
            self._failures += 1
            if self._failures < _MOST_FAILURES and not for_good:
                self._until = time.monotonic() + _BACK_OFF * 2 ** (self._failures - 1)
                return False, False
            known = self._reason is not None
            self._until = time.monotonic() + _REST
            self._reason = error
            return True, not known

    @property
    def has_failed(self) -> bool:
        """Whether the last attempt failed."""
        return self._failures > 0

    def succeed(self) -> None:
        """Forget the failures, unless it is left out because of them."""
        if not self._failures:  # the usual case, after nearly every task
            return
        with self._lock:
            if self._reason is None or not self.rest:
                self._failures, self._until, self._reason = 0, 0.0, None
