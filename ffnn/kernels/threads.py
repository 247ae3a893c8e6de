"""Threads that compute one thing together, in a library that divides the work among them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Self

__all__ = ["Threads"]


class Threads:
    """Threads that compute one thing together.

    Parameters
    ----------
    n_threads : int
        How many, that of the caller among them.
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
        """Let each thread call a function of the library, which divides the work."""
        argument.lane = 0
        reference = ctypes.byref(argument)
        others = [] if self._pool is None else [self._pool.submit(function, reference) for _ in range(self._others)]
        function(reference)
        wait(others)

    def beside(self, function: Callable[[], None]) -> Future[None]:
        """Let another thread, if there is one, call a function."""
        if self._pool is not None:
            return self._pool.submit(function)
        function()
        done: Future[None] = Future()
        done.set_result(None)
        return done
