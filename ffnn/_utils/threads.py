"""Multithreaded passes over large arrays; two threads read nearly twice as fast as one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, Self, TypeVar

import joblib
import numpy as np
import sklearn

from ffnn.model import Array

__all__ = ["ThreadedChunks", "share_with_others", "surely_finite"]

T = TypeVar("T")

#: The number of bytes from which threads pay off: they start in 0.15 ms, and one thread reads as much in 1 ms.
LARGE = 2**23
#: The largest number of threads. Few saturate the memory bandwidth (two were measured); more would slow down others.
MOST_THREADS = 4


class ThreadedChunks:
    """Runs successive passes in the same threads, whose start takes as long as copying a megabyte."""

    def __init__(self) -> None:
        self._n = _n_threads()
        self._others = ThreadPoolExecutor(max(self._n - 1, 1))  # starts threads only when there is work

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._others.shutdown()

    def over(self, function: Callable[..., T], *arrays: Array) -> list[T]:
        """Call a function on chunks of rows of the arrays, in parallel if they are large.

        Parameters
        ----------
        function : callable
            Takes a chunk of each array, and should release the GIL, as NumPy does.
        *arrays : ndarray of shape (n_rows, ...)
            The arrays.

        Returns
        -------
        list
            The results of the chunks, in order.
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
            wait(rest)  # no thread uses the arrays afterwards
        return [first, *(part.result() for part in rest)]


def surely_finite(X: Any, dtype: str) -> bool:
    """Return whether X is a large array of the dtype whose numbers are all finite; False means unknown.

    scikit-learn's own check uses one thread. It must be run if the result is False.
    """
    if sklearn.get_config()["assume_finite"]:  # the user has disabled the check
        return False
    if type(X) not in (np.ndarray, np.memmap) or X.ndim != 2 or X.dtype.name != dtype or X.nbytes < LARGE:
        return False
    with ThreadedChunks() as passes:
        return bool(np.isfinite(sum(passes.over(_magnitude, X))))


def _magnitude(part: Array) -> float:
    """Return the sum of squares by BLAS, the fastest number that is not finite if any entry is not."""
    with np.errstate(all="ignore"):
        if not part.flags.c_contiguous:
            return float(part.sum())
        flat = part.reshape(-1)
        return float(np.dot(flat, flat))


class _Share(threading.local):
    """The number of threads that the calling thread may use; None if it has no limit of its own."""

    n: int | None = None


_share = _Share()


def share_with_others(n: int) -> None:
    """Limit the number of threads that the calling thread may use from now on, itself included."""
    _share.n = n


def _n_threads() -> int:
    """Return the number of threads to use; the environment variable is set if workers share a machine."""
    if _share.n is not None:
        return min(_share.n, MOST_THREADS)
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return min(int(allowed) if allowed.isdigit() and int(allowed) else joblib.cpu_count(), MOST_THREADS)
