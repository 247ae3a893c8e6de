"""A data set on its way to TensorFlow: all of it at once or, if it is large, a piece at a time."""

from __future__ import annotations

import dataclasses
import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from ffnn._utils.threads import ThreadedChunks
from ffnn.builders._tensorflow.compiled import Filling, filled, one_of_few
from ffnn.builders._tensorflow.memory import StagingBuffer, tensor_of
from ffnn.builders._tensorflow.prediction import STEP_ROWS
from ffnn.input import Input
from ffnn.model import Array, EpochPlan, Rows

__all__ = ["PIECE", "RESIDENT", "Samples", "pieces_of"]

Data = tuple[tuple[Any, ...], Any, Any]
T = TypeVar("T")
U = TypeVar("U")

#: Bytes of X that TensorFlow keeps a copy of while it trains; a larger X, which may be mapped from a file, stays where
#: it is, and the rows of some batches at a time are copied.
RESIDENT = 2**28
#: Bytes copied at a time: products of half as many are slower, those of twice as many no faster.
PIECE = 2**25


def pieces_of(input: Input, x: Rows, size: int) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Yield the rows in order, as tensors of about ``size`` bytes, to be used one after the other, and their number."""
    n = _rows_in(size, x)
    if n >= x.n_rows:
        yield tuple(map(tensor_of, x.arrays)), x.n_rows
        return
    with ThreadedChunks() as passes:
        rooms = [StagingBuffer(passes) for _ in x.arrays]
        for start in range(0, x.n_rows, n):
            stop = min(start + n, x.n_rows)
            arrays = zip(rooms, input.take(x.arrays, slice(start, stop)), strict=True)
            yield tuple([room.tensor_of(array) for room, array in arrays]), stop - start


class Samples:
    """A data set to train on.

    Parameters
    ----------
    input : Input
        What prepared it.
    x : Rows
        The samples.
    targets : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        What the network's output encoded.
    weight : ndarray of shape (n_rows,)
        The sample weights.
    on_host : bool
        Whether X stays NumPy arrays, for whom TensorFlow has nothing to do with it.
    """

    def __init__(self, input: Input, x: Rows, targets: Array, weight: Array, *, on_host: bool = False) -> None:
        self._input = input
        self._x = x
        self._targets = targets
        self._weight = weight
        self.n_rows = x.n_rows
        #: Whether TensorFlow has all of it.
        self.resident = sum(a.nbytes for a in x.arrays) <= RESIDENT
        self._forms: dict[bool, Data] = {}
        self._taken = _identity if on_host else tensor_of

    def _all(self, fill: bool) -> Data:
        """Return all of it, filled up where a compiled program asks for that; made once."""
        if fill not in self._forms:
            form = functools.partial(filled, n=one_of_few(self.n_rows)) if fill else np.asarray
            arrays = tuple(self._taken(form(a)) for a in self._x.arrays)
            self._forms[fill] = arrays, tensor_of(form(self._targets)), tensor_of(form(self._weight))
        return self._forms[fill]

    def parts(self, plan: EpochPlan, *, fill: bool = False) -> Iterator[tuple[EpochPlan, Data, Filling | None]]:
        """Yield an epoch's steps in order, some at a time where not all of the data is there, with their data.

        With ``fill``, the data is filled up, as it says.
        """
        if self.resident:
            yield plan, self._all(fill), Filling(self.n_rows, one_of_few(plan.n_batches)) if fill else None
            return
        n_steps = min(max(1, _rows_in(PIECE, self._x) // plan.batch_size), plan.n_batches)
        parts = (plan.steps(start, start + n_steps) for start in range(0, plan.n_batches, n_steps))
        n_rows = n_steps * plan.batch_size + 1 if fill else None
        for part, arrays, truth in _ahead(functools.partial(self._read, n_rows=n_rows), parts):
            here = np.arange(len(part.order), dtype=part.order.dtype)
            data = tuple(map(self._taken, arrays)), *map(tensor_of, truth)
            yield dataclasses.replace(part, order=here), data, Filling(len(here), n_steps) if fill else None

    def _read(self, part: EpochPlan, n_rows: int | None) -> tuple[EpochPlan, tuple[Array, ...], tuple[Array, Array]]:
        """Copy the rows of some steps, and of one of them again, of no weight, until they are as many as that."""
        rows = part.order if n_rows is None else filled(part.order, n_rows, part.order[0])
        weight = self._weight[rows]
        weight[len(part.order) :] = 0
        return part, self._input.take(self._x.arrays, rows), (self._targets[rows], weight)

    def pieces(self) -> Iterator[Data]:
        """Yield all rows once, in order."""
        if self.resident:
            yield self._all(False)
            return
        start = 0
        for arrays, n_rows in pieces_of(self._input, self._x, PIECE):
            rows = slice(start, start + n_rows)
            yield arrays, tensor_of(self._targets[rows]), tensor_of(self._weight[rows])
            start += n_rows


def _ahead(function: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """Yield what a function makes of each item, which a thread finds out while the one before is used."""
    with ThreadPoolExecutor(1, "ffnn-reader") as thread:
        coming: deque[Future[U]] = deque()
        for item in items:
            coming.append(thread.submit(function, item))
            if len(coming) > 1:
                yield coming.popleft().result()
        for last in coming:
            yield last.result()


def _identity(array: Array) -> Any:
    return array


def _rows_in(size: int, x: Rows) -> int:
    """Return how many rows there are in so many bytes, in multiples of those that predictions take."""
    each = max(1, sum(a.nbytes for a in x.arrays) // max(x.n_rows, 1))
    return max(size // each // STEP_ROWS * STEP_ROWS, STEP_ROWS)
