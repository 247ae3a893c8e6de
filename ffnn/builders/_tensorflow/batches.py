"""How a batch comes to a network on TensorFlow: dense, or as the entries that are stored."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ffnn.builders._tensorflow import ops
from ffnn.network import Network
from ffnn.ops import SparseRows

__all__ = ["Batches"]

Tensor = Any


class Batches:
    """Makes batches: gathers the rows, and lets the network's first stages act on them, which have no weights.

    What it makes of a batch depends on no weight, so that the next batch can be made while a step is under way.

    Parameters
    ----------
    network : Network
        The description.
    entry : Network
        Its first stages, which act on sparse rows and have no weights.
    stored : bool
        Whether sparse rows stay sparse. Otherwise they are made dense, which costs less than a sparse product does
        unless nearly all of a row is zero.
    """

    def __init__(self, network: Network, entry: Network, stored: bool) -> None:
        self._network = network
        self.entry = entry
        self.stored = stored

    def rows(
        self, arrays: tuple[Tensor, ...], rows: Tensor, scalars: Tensor | None = None, seed: Tensor | None = None
    ) -> Any:
        """Return the batch of the given rows; in training, which is when there is a seed, with what is random in it."""
        x = self._network.input.gather(ops, arrays, rows, self._network.n_features)
        return self.enter(x, scalars, seed) if isinstance(x, SparseRows) else x

    def enter(self, x: SparseRows, scalars: Tensor | None = None, seed: Tensor | None = None) -> Any:
        """Return what the network's first stages make of sparse rows."""
        context = None if seed is None else self.entry.training_context(scalars, seed)
        y = self.entry.apply(ops, x, {}, context)
        return y.dense(ops) if isinstance(y, SparseRows) and not self.stored else y

    def take(
        self, data: tuple[Any, ...], rows: Tensor, scalars: Tensor | None = None, seed: Tensor | None = None
    ) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """Return a batch of a data set, as plain tensors that a loop can carry, with its targets and weights."""
        arrays, targets, weight = data
        x = self.rows(arrays, rows, scalars, seed)
        parts = (x.splits, x.columns, x.values) if isinstance(x, SparseRows) else (x,)
        return parts, tf.gather(targets, rows), tf.gather(weight, rows)

    def whole(self, parts: tuple[Tensor, ...]) -> Any:
        """Return the batch that plain tensors stand for."""
        if len(parts) == 1:
            return parts[0]
        splits, columns, values = parts
        return SparseRows(splits, columns, values, (tf.size(splits) - 1, self._network.n_features))
