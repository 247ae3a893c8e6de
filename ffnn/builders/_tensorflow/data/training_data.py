"""Transfers a data set to TensorFlow: all of it at once or, if it is large, a piece at a time."""

from __future__ import annotations

import dataclasses
import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ffnn._utils.threads import ThreadedChunks
from ffnn.builders._tensorflow.data.batches import Data
from ffnn.builders._tensorflow.data.padding import Padding, padded, padded_size
from ffnn.builders._tensorflow.memory import StagingBuffer, tensor_of
from ffnn.builders._tensorflow.prediction import STEP_ROWS
from ffnn.input import Input
from ffnn.model import Array, EpochPlan, Rows

__all__ = ["PIECE", "RESIDENT", "EpochPart", "TrainingData", "pieces_of"]

T = TypeVar("T")
U = TypeVar("U")

#: The largest X, in bytes, that TensorFlow keeps a copy of during training. A larger one, which may be mapped from a
#: file, stays where it is, and the rows of a few batches are copied at a time.
RESIDENT = 2**28
#: Bytes copied at a time: with half as many, products are slower; with twice as many, no faster.
PIECE = 2**25


def pieces_of(input: Input, x: Rows, size: int) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Yield the rows in order, in pieces of about ``size`` bytes, as tensors and the number of rows.

    A piece is valid until the next one is requested.
    """
    n = _rows_in(size, x)
    if n >= x.n_rows:
        yield tuple(map(tensor_of, x.arrays)), x.n_rows
        return
    with ThreadedChunks() as chunks:
        buffers = [StagingBuffer(chunks) for _ in x.arrays]
        for start in range(0, x.n_rows, n):
            stop = min(start + n, x.n_rows)
            arrays = zip(buffers, input.take(x.arrays, slice(start, stop)), strict=True)
            yield tuple([buffer.tensor_of(array) for buffer, array in arrays]), stop - start


class EpochPart(NamedTuple):
    """Some steps of an epoch, or all of them, and their data.

    Parameters
    ----------
    plan : EpochPlan
        The steps.
    data : Data
        The rows that the steps take.
    padding : Padding or None
        The padding of the data, if it is padded.
    """

    plan: EpochPlan
    data: Data
    padding: Padding | None


class TrainingData:
    """A data set to train on.

    Parameters
    ----------
    input : Input
        The input that prepared the data.
    x : Rows
        The prepared samples.
    targets : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        The targets as the network's output encoded them.
    weight : ndarray of shape (n_rows,)
        The sample weights.
    on_host : bool
        Whether X stays in NumPy arrays, for a runner that reads it outside TensorFlow.
    """

    def __init__(self, input: Input, x: Rows, targets: Array, weight: Array, *, on_host: bool = False) -> None:
        self._input = input
        self._x = x
        self._targets = targets
        self._weight = weight
        self.n_rows = x.n_rows
        #: Whether TensorFlow has a copy of all of it.
        self.resident = sum(a.nbytes for a in x.arrays) <= RESIDENT
        self._whole: dict[bool, Data] = {}  # by whether it is padded
        self._transfer = (lambda array: array) if on_host else tensor_of

    def _all(self, pad: bool) -> Data:
        """Return the whole data set, padded if asked; made once."""
        if pad not in self._whole:
            form = functools.partial(padded, n=padded_size(self.n_rows)) if pad else np.asarray
            arrays = tuple(self._transfer(form(a)) for a in self._x.arrays)
            self._whole[pad] = Data(arrays, tensor_of(form(self._targets)), tensor_of(form(self._weight)))
        return self._whole[pad]

    def parts(self, plan: EpochPlan, *, pad: bool = False) -> Iterator[EpochPart]:
        """Yield the parts of an epoch in order: a few steps at a time if the data is not resident, else all of them.

        Parameters
        ----------
        plan : EpochPlan
            The epoch.
        pad : bool
            Whether the data is padded.
        """
        if self.resident:
            padding = Padding(self.n_rows, padded_size(plan.n_batches)) if pad else None
            yield EpochPart(plan, self._all(pad), padding)
            return
        n_steps = min(max(1, _rows_in(PIECE, self._x) // plan.batch_size), plan.n_batches)
        parts = (plan.steps(start, start + n_steps) for start in range(0, plan.n_batches, n_steps))
        n_rows = n_steps * plan.batch_size + 1 if pad else None
        for part, arrays, truth in _read_ahead(functools.partial(self._read, n_rows=n_rows), parts):
            here = np.arange(len(part.order), dtype=part.order.dtype)
            data = Data(tuple(map(self._transfer, arrays)), *map(tensor_of, truth))
            padding = Padding(len(here), n_steps) if pad else None
            yield EpochPart(dataclasses.replace(part, order=here), data, padding)

    def _read(self, part: EpochPlan, n_rows: int | None) -> tuple[EpochPlan, tuple[Array, ...], tuple[Array, Array]]:
        """Copy the rows of some steps, padded to ``n_rows`` with copies of one row at weight 0."""
        rows = part.order if n_rows is None else padded(part.order, n_rows, part.order[0])
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
            yield Data(arrays, tensor_of(self._targets[rows]), tensor_of(self._weight[rows]))
            start += n_rows


def _read_ahead(function: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """Yield a function's results in order; a thread computes the next one while the caller uses the current one."""
    with ThreadPoolExecutor(1, "ffnn-reader") as thread:
        coming: deque[Future[U]] = deque()
        for item in items:
            coming.append(thread.submit(function, item))
            if len(coming) > 1:
                yield coming.popleft().result()
        for last in coming:
            yield last.result()


def _rows_in(size: int, x: Rows) -> int:
    """Return the number of rows in ``size`` bytes, as a multiple of ``STEP_ROWS``."""
    each = max(1, sum(a.nbytes for a in x.arrays) // max(x.n_rows, 1))
    return max(size // each // STEP_ROWS * STEP_ROWS, STEP_ROWS)
