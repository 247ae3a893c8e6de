"""Threads that call one function of a library, which divides the work among them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Self

__all__ = ["Threads"]


class Threads:
    """A team of threads, including the caller's.

    Parameters
    ----------
    n_threads : int
        Their number, including the caller.
    """

    def __init__(self, n_threads: int) -> None:
        self._others = n_threads - 1
        self._pool = ThreadPoolExecutor(self._others) if self._others else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def run(self, function: Any, argument: Any) -> None:
        """Call a function of the library in each thread."""
        argument.lane = 0
        reference = ctypes.byref(argument)
        others = [] if self._pool is None else [self._pool.submit(function, reference) for _ in range(self._others)]
        function(reference)
        wait(others)

    def beside(self, function: Callable[[], None]) -> Future[None]:
        """Call a function in another thread, or at once if there is none."""
        if self._pool is not None:
            return self._pool.submit(function)
        function()
        done: Future[None] = Future()
        done.set_result(None)
        return done
