"""Updates only those rows of a weight that a sparse batch touches; see :mod:`ffnn.lazy_rows`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from ffnn.builders._tensorflow import ops
from ffnn.lazy_rows import LazyRows, StepHistory
from ffnn.model import EpochPlan
from ffnn.ops import SparseRows, Tensor

__all__ = ["PendingRows", "TouchedRows", "catch_up", "compact"]


#: The number of rows that are brought up to date at a time, a few megabytes.
_CHUNK = 8192


def compact(x: SparseRows) -> tuple[Tensor, SparseRows]:
    """Return the columns with entries, and the batch without the other columns."""
    columns, places = tf.unique(x.columns)
    return columns, SparseRows(x.splits, places, x.values, (x.shape[0], tf.size(columns)))


class PendingRows:
    """One fit's record of the rows that have postponed steps.

    Parameters
    ----------
    lazy_rows : LazyRows
        The solver's steps in such rows.
    n_features : int
        The number of rows.
    """

    def __init__(self, lazy_rows: LazyRows, n_features: int) -> None:
        self.history = StepHistory(lazy_rows)
        #: The number of steps that each row has taken.
        self.last = tf.Variable(tf.zeros(n_features, tf.int32), trainable=False)

    def advance(self, plan: EpochPlan, shrinks: bool) -> dict[str, Tensor]:
        """Record the steps of a segment, and return :attr:`times`."""
        self.history.advance(plan, shrinks)
        return self.times

    @property
    def times(self) -> dict[str, Tensor]:
        """The recorded segment as :class:`TouchedRows` takes it."""
        return {"sums": tf.constant(self.history.sums), "logs": tf.constant(self.history.logs)}


class TouchedRows:
    """The rows of some features in a weight, which are read up to date and written back after a step.

    Parameters
    ----------
    lazy_rows : LazyRows
        The solver's steps in rows that no batch touches.
    last : tf.Variable of shape (n_features,)
        :attr:`PendingRows.last`.
    features : integer tensor
        The features.
    times : mapping of str to tensor
        :attr:`PendingRows.times`.
    i : scalar tensor
        The number of previous steps in the segment.
    """

    def __init__(
        self, lazy_rows: LazyRows, last: Any, features: Tensor, times: Mapping[str, Tensor], i: Tensor
    ) -> None:
        self._lazy_rows = lazy_rows
        self._last = last
        self._features = features
        self._now = i
        then = tf.gather(last, features)
        self._gap = tf.cast(i - then, tf.float64)
        self._kept = tf.exp(times["logs"][i] - tf.gather(times["logs"], then))
        decays = tf.constant(lazy_rows.ratios, tf.float64) ** self._gap[:, None]
        self._moves = self._kept[:, None] * tf.gather(times["sums"], then) - decays * times["sums"][i]

    def take(self, weight: Any, slots: Mapping[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the rows of a weight, and of its slots, up to date."""

        def by_row(factor: Tensor) -> Tensor:
            return tf.reshape(tf.cast(factor, weight.dtype), [-1, *[1] * (weight.shape.rank - 1)])

        rows = tf.gather(weight, self._features)
        named = {name: tf.gather(slot, self._features) for name, slot in slots.items()}
        if self._lazy_rows.shrinks:
            rows *= by_row(self._kept)
        if self._lazy_rows.directions is not None:
            for k, direction in enumerate(self._lazy_rows.directions(ops, named)):
                rows += by_row(self._moves[:, k]) * direction
        for name, decay in self._lazy_rows.decays.items():
            if decay != 1:
                named[name] *= by_row(tf.constant(decay, tf.float64) ** self._gap)
        return rows, named

    def put(self, variables: Sequence[Any], rows: Sequence[Tensor]) -> None:
        """Write rows back to the variables."""
        for variable, value in zip(variables, rows, strict=True):
            tf.raw_ops.ResourceScatterUpdate(resource=variable.handle, indices=self._features, updates=value)

    def tick(self) -> None:
        """Record that the rows have taken this step."""
        updates = tf.fill(tf.shape(self._features), self._now + 1)
        tf.raw_ops.ResourceScatterUpdate(resource=self._last.handle, indices=self._features, updates=updates)


def catch_up(
    lazy_rows: LazyRows, last: Any, weights: Sequence[tuple[Any, Sequence[Any]]], times: Mapping[str, Tensor]
) -> None:
    """Bring all rows of the weights up to date, a chunk at a time, and reset ``last``."""
    n_features, now = last.shape[0], tf.size(times["logs"]) - 1

    def chunk(start: Tensor) -> tuple[Tensor]:
        features = tf.range(start, tf.minimum(start + _CHUNK, n_features))
        touched = TouchedRows(lazy_rows, last, features, times, now)
        for weight, slots in weights:
            rows, named = touched.take(weight, dict(zip(lazy_rows.decays, slots, strict=True)))
            touched.put([weight, *slots], [rows, *named.values()])
        return (start + _CHUNK,)

    tf.while_loop(lambda start: start < n_features, chunk, (0,), parallel_iterations=1)
    last.assign(tf.zeros_like(last))
