"""Passes over large arrays by several threads, since two read nearly twice as fast as one."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Self, TypeVar

import joblib
import numpy as np
import sklearn

from ffnn.model import Array

__all__ = ["ThreadedChunks", "surely_finite"]

T = TypeVar("T")

#: Bytes from which threads are worth their start: 0.15 ms, where one takes 1 ms to read as many.
LARGE = 2**23
#: A few threads use up a memory's bandwidth. Two were measured; more may not crowd out what else runs.
MOST_THREADS = 4


class ThreadedChunks:
    """Passes, one after the other, by the same threads: to start these takes as long as to copy a megabyte."""

    def __init__(self) -> None:
        self._n = _n_threads()
        self._others = ThreadPoolExecutor(max(self._n - 1, 1))  # which starts none before there is work for it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._others.shutdown()

    def over(self, function: Callable[..., T], *arrays: Array) -> list[T]:
        """Call a function on parts of arrays, the same rows of each, at once if they are large.

        Parameters
        ----------
        function : callable
            Takes as many arrays, and leaves Python's lock to the others meanwhile, as NumPy does.
        *arrays : ndarray of shape (n_rows, ...)
            The arrays.

        Returns
        -------
        list
            What it returned for each part, in order.
        """
        n_rows, n_bytes = len(arrays[0]), arrays[0].nbytes
        n = min(self._n, n_rows) if n_bytes >= LARGE else 1
        if n < 2:
            return [function(*arrays)]
        parts = [[array[n_rows * i // n : n_rows * (i + 1) // n] for array in arrays] for i in range(n)]
        rest = [self._others.submit(function, *part) for part in parts[1:]]
        try:
            first = function(*parts[0])
        finally:
            wait(rest)  # nobody works on the arrays any longer
        return [first, *(part.result() for part in rest)]


def surely_finite(X: Any, dtype: str) -> bool:
    """Return whether X is a large array of a dtype in which all numbers are finite; False leaves it open.

    scikit-learn's validation, which sums up all numbers, does so in one thread. It is to be asked where the answer
    is False.
    """
    if sklearn.get_config()["assume_finite"]:  # nobody wants to know
        return False
    if type(X) not in (np.ndarray, np.memmap) or X.ndim != 2 or X.dtype.name != dtype or X.nbytes < LARGE:
        return False
    with ThreadedChunks() as passes:
        return bool(np.isfinite(sum(passes.over(_magnitude, X))))


def _magnitude(part: Array) -> float:
    """Return a number that is not finite if one of the array is not: BLAS's sum of squares, which is read faster."""
    with np.errstate(all="ignore"):
        if not part.flags.c_contiguous:
            return float(part.sum())
        flat = part.reshape(-1)
        return float(np.dot(flat, flat))


def _n_threads() -> int:
    """Return how many threads there may be; the variable is set where workers share a machine."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(allowed) if allowed.isdigit() and int(allowed) else joblib.cpu_count(), MOST_THREADS)
