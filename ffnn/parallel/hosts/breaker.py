"""When to try again what has failed, and when to leave it alone for a while."""

from __future__ import annotations

import threading
import time

from ffnn.exceptions import ExecutorError

__all__ = ["Breaker"]

_MOST_FAILURES = 5  # in a row; then it is left alone
_BACK_OFF = 0.5  # seconds after the first failure, doubled with each
_REST = 60.0  # seconds for which it is left alone


class Breaker:
    """What is known of something's failures."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._until = 0.0
        self._reason: ExecutorError | None = None

    @property
    def rest(self) -> float:
        """The number of seconds for which it is not to be tried."""
        return max(0.0, self._until - time.monotonic())

    @property
    def reason(self) -> ExecutorError | None:
        """Why it is left alone at the moment; None if it is not."""
        with self._lock:
            return self._reason if self.rest else None

    def fail(self, error: ExecutorError, for_good: bool) -> tuple[bool, bool]:
        """Note a failure; return whether it is left alone from here on, and whether it was not before."""
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
        """Whether the last that is known of it is a failure."""
        return self._failures > 0

    def succeed(self) -> None:
        """Forget the failures, unless it is left alone because of them."""
        if not self._failures:  # nothing to forget, as after nearly every task
            return
        with self._lock:
            if self._reason is None or not self.rest:
                self._failures, self._until, self._reason = 0, 0.0, None
