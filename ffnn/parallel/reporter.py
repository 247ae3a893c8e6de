"""A thread that passes results to joblib."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Reporter"]

T = TypeVar("T")


class Reporter:
    """Calls joblib's callbacks in a thread of its own, one after the other.

    joblib submits its next batch from the callback of one that is done. If that one is done at once, as what a journal
    has recorded is, callbacks would nest deeper and deeper.
    """

    def __init__(self) -> None:
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "ffnn-reporter")

    def report(self, callback: Callable[[T], object], what: T) -> None:
        """Call a callback soon."""
        try:
            self._thread.submit(callback, what)
        except RuntimeError:  # the call of joblib is over, or Python ends
            callback(what)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False)
