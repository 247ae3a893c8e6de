"""Batches in TensorFlow, dense or sparse."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from ffnn.builders._tensorflow import ops
from ffnn.builders._tensorflow.forward import Architecture
from ffnn.ops import SparseRows, Tensor

__all__ = ["Batches", "Data"]


class Data(NamedTuple):
    """A data set, or a batch of it.

    Parameters
    ----------
    arrays : tuple of tensor
        The arrays of X: those prepared by the input; for a batch, the parts of a dense or sparse tensor.
    targets : tensor of shape (n_rows,) or (n_rows, n_outputs)
        The encoded targets.
    weight : tensor of shape (n_rows,)
        The sample weights.
    """

    arrays: tuple[Any, ...]
    targets: Tensor
    weight: Tensor


class Batches:
    """Makes batches: gathers rows and applies the network's entry stages, which have no weights.

    Since batches do not depend on weights, the next one can be made during a step.

    Parameters
    ----------
    architecture : Architecture
        The network and its entry stages.
    stored : bool
        Whether sparse rows stay sparse. Otherwise they are made dense, which is faster than a sparse product unless
        nearly all values are zero.
    """

    def __init__(self, architecture: Architecture, *, stored: bool) -> None:
        self._network = architecture.network
        self.entry = architecture.entry
        self.stored = stored

    def rows(
        self, arrays: tuple[Tensor, ...], rows: Tensor, scalars: Tensor | None = None, seed: Tensor | None = None
    ) -> Any:
        """Return a batch of the given rows. With a seed the network trains, and the entry stages draw from it."""
        x = self._network.input.gather(ops, arrays, rows, self._network.n_features)
        return self.enter(x, scalars, seed) if isinstance(x, SparseRows) else x

    def enter(self, x: SparseRows, scalars: Tensor | None = None, seed: Tensor | None = None) -> Any:
        """Apply the entry stages to sparse rows."""
        context = None if seed is None else self.entry.training_context(scalars, seed)
        y = self.entry.apply(ops, x, {}, context)
        return y.dense(ops) if isinstance(y, SparseRows) and not self.stored else y

    def take(self, data: Data, rows: Tensor, scalars: Tensor | None = None, seed: Tensor | None = None) -> Data:
        """Return a batch of a data set as plain tensors, which a loop can carry."""
        x = self.rows(data.arrays, rows, scalars, seed)
        parts = (x.splits, x.columns, x.values) if isinstance(x, SparseRows) else (x,)
        return Data(parts, tf.gather(data.targets, rows), tf.gather(data.weight, rows))

    def whole(self, parts: tuple[Tensor, ...]) -> Any:
        """Return a batch from its plain tensors: a dense tensor or sparse rows."""
        if len(parts) == 1:
            return parts[0]
        splits, columns, values = parts
        return SparseRows(splits, columns, values, (tf.size(splits) - 1, self._network.n_features))
