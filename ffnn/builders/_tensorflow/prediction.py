"""Scores on TensorFlow, and their slopes, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse
import tensorflow as tf

from ffnn.builders._tensorflow import ops
from ffnn.builders._tensorflow.batches import Batches
from ffnn.builders._tensorflow.host import n_threads
from ffnn.builders._tensorflow.memory import view_of
from ffnn.builders._tensorflow.products import Products
from ffnn.builders._tensorflow.touched import compact
from ffnn.builders._tensorflow.traced import Traced
from ffnn.kernels import sparse_products
from ffnn.kernels.csr import CSR
from ffnn.model import Array, Rows
from ffnn.network import Network
from ffnn.ops import NumpyOps, SparseRows

__all__ = ["Prediction"]

Tensor = Any
Forward = Callable[..., tuple[Tensor, list[Tensor], Tensor | None]]

#: Rows go through the network in multiples of this, filled up: with any other number some kernels round otherwise, and
#: a row's scores would depend on the number of rows beside it.
STEP_ROWS = 64
#: The most rows at a time, and the most values in them; where it needs no copy, only the values count.
MOST_ROWS = 1024
MOST_VALUES = 2**23
#: So few sparse rows of so many features meet few of the weights: they are not made dense. Without the kernel, this is
#: the one place where the number of rows may change a score's last digit.
FEW_ROWS = 8
WIDE = 10_000
_HOST = NumpyOps()


class Prediction:
    """What a trained network says of rows.

    Parameters
    ----------
    network : Network
        The description.
    forward : callable
        As in :class:`ffnn.builders._tensorflow.program.Program`.
    batches, stored : Batches
        What makes the batches; and what leaves sparse rows as they are.
    by_feature : sequence of int
        The trained weights that have a row a feature and meet the entries of sparse rows.
    by_row : bool
        Whether training assigns to some rows of those at a time; TensorFlow then copies all of a variable to read it.
    """

    def __init__(
        self, network: Network, forward: Forward, batches: Batches, stored: Batches, by_feature: Sequence[int],
        *, by_row: bool,
    ) -> None:  # fmt: skip
        self._network = network
        self._forward = forward
        self._batches = batches
        self._few = stored
        self._by_feature = tuple(by_feature)
        self._by_row = by_row
        alone, on_cpu = len(self._by_feature) == 1, not tf.config.list_logical_devices("GPU")
        # whether the first weights can be read where they are
        self._on_host = alone and on_cpu and not by_row and network.compute_dtype is None
        # where it is expected to be fastest in training, the kernel is so here
        suits = network.dtype == "float32" and tuple(network.input.paths_ or ())[:1] == ("fused",)
        self._by_kernel = self._on_host and suits and sparse_products.is_there()
        n_rows = int(np.clip(MOST_VALUES // network.n_features, STEP_ROWS, MOST_ROWS))
        self._tile = n_rows // STEP_ROWS * STEP_ROWS
        self._scores = Traced(self._score)
        self._slopes = Traced(self._slope)
        self._rest = Traced(self._go_on, in_turn=True)

    def scores(
        self, weights: list[Any], extras: list[Any], arrays: tuple[Any, ...], n_rows: int, layer: int | None = None
    ) -> Any:
        """Return the scores of all rows, or the values of a hidden layer."""
        n_stages = None if layer is None else self._network.hidden[layer]
        network = self._network
        at_once = not network.input.sparse and n_rows % STEP_ROWS == 0 and n_rows * network.n_features <= MOST_VALUES
        at_once |= self._are_few(n_rows)
        arguments = (arrays, tf.constant(n_rows, tf.int32))
        return self._scores((weights, extras), arguments, n_stages, at_once).numpy()

    def on_host(self, x: Rows) -> bool:
        """Return whether rows are best left to :meth:`of_products`."""
        return self._on_host and (self._takes(x.arrays) or self._are_few(x.n_rows))

    def of_products(
        self, weights: list[Any], extras: list[Any], arrays: tuple[Any, ...], n_rows: int, layer: int | None = None
    ) -> Any:
        """Return what :meth:`scores` does, of NumPy arrays; the first product is not TensorFlow's."""
        network, (k,) = self._network, self._by_feature
        weight = view_of(weights[k].value())
        rest = ([*weights[:k], *weights[k + 1 :]], extras)
        n_stages = None if layer is None else network.hidden[layer]
        at_once = max(MOST_VALUES // weight.shape[1] // STEP_ROWS, 1) * STEP_ROWS
        values = []
        for start in range(0, n_rows, at_once):
            n_here = min(at_once, n_rows - start)
            here = arrays if n_here == n_rows else network.input.take(arrays, slice(start, start + n_here))
            products = self._product(here, n_here, weight)
            values.append(self._rest(rest, (tf.constant(products),), n_stages).numpy()[:n_here])
        return values[0] if len(values) == 1 else np.concatenate(values)

    def _product(self, arrays: tuple[Any, ...], n_rows: int, weight: Array) -> Array:
        """Return the first product of some rows; the kernel's are filled up with rows of zeros."""
        network = self._network
        x = network.input.whole(_HOST, arrays, n_rows, network.n_features)
        x = self._few.entry.apply(_HOST, x, {})
        if not self._takes(arrays):
            return scipy.sparse.csr_array((x.values, x.columns, x.splits), (n_rows, network.n_features)) @ weight
        products = np.zeros((-(-n_rows // STEP_ROWS) * STEP_ROWS, weight.shape[1]), np.float32)
        may = n_threads() if n_rows > STEP_ROWS else 1  # to ask takes a good part of what a row does
        values = np.ascontiguousarray(x.values, np.float32)  # whatever a stage has made of them
        sparse_products.multiply(CSR(x.splits, x.columns, values), weight, products[:n_rows], may)
        return products

    def _takes(self, arrays: tuple[Any, ...]) -> bool:
        """Return whether the kernel takes such rows."""
        return self._by_kernel and arrays[0].dtype == np.int32

    def slopes(self, weights: list[Any], extras: list[Any], arrays: tuple[Any, ...], n_rows: int) -> Any:
        """Return the gradients of the scores of all rows with respect to X, output by output."""
        network = self._network
        result = np.empty((n_rows, network.n_outputs, network.n_features), network.dtype)
        for k, pick in enumerate(np.eye(network.n_outputs, dtype=network.dtype)):
            arguments = (arrays, tf.constant(n_rows, tf.int32), tf.constant(pick))
            result[:, k] = self._slopes((weights, extras), arguments).numpy()
        return result

    def _are_few(self, n_rows: int) -> bool:
        return bool(self._by_feature) and n_rows <= FEW_ROWS and self._network.n_features >= WIDE

    # -- traced ---------------------------------------------------------------------------------------------------

    def _score(
        self, weights: list[Any], extras: list[Any], arrays: tuple[Any, ...], n_rows: Tensor, n_stages: int | None,
        at_once: bool,
    ) -> Tensor:  # fmt: skip
        def scores(rows: Tensor) -> Tensor:
            return self._of(weights, extras, self._batches.rows(arrays, rows), n_stages)

        if at_once and self._network.input.sparse:
            columns, x = compact(self._few.enter(self._whole(arrays, n_rows)))
            x = x if self._batches.stored else x.dense(ops)
            return self._apply(self._met(weights, columns), extras, x, n_stages)
        if at_once:
            return self._apply(weights, extras, self._whole(arrays, n_rows), n_stages)
        width = self._network.n_outputs if n_stages is None else self._network.stages[n_stages - 1].n_outputs
        return self._by_tile(scores, n_rows, width)

    def _go_on(self, weights: list[Any], extras: list[Any], products: Tensor, n_stages: int | None) -> Tensor:
        (k,), x = self._by_feature, Products(products, self._network.n_features)
        return self._apply([*weights[:k], x.weight, *weights[k:]], extras, x, n_stages)

    def _slope(
        self, weights: list[Any], extras: list[Any], arrays: tuple[Any, ...], n_rows: Tensor, pick: Tensor
    ) -> Tensor:
        network = self._network

        def slopes(rows: Tensor) -> Tensor:
            x = network.input.gather(ops, arrays, rows, network.n_features)
            x = tf.ensure_shape(x.dense(ops) if isinstance(x, SparseRows) else x, (None, network.n_features))
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(x)
                entering = network.entering(ops, x)
                entering = self._batches.enter(entering) if isinstance(entering, SparseRows) else entering
                # a row's scores depend on that row alone, so that the sum over rows mixes nothing
                score = tf.reduce_sum(self._of(weights, extras, entering) * pick)
            return tape.gradient(score, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        return self._by_tile(slopes, n_rows, network.n_features)

    def _whole(self, arrays: tuple[Any, ...], n_rows: Tensor) -> Any:
        return self._network.input.whole(ops, arrays, n_rows, self._network.n_features)

    def _of(self, weights: list[Any], extras: list[Any], x: Any, n_stages: int | None = None) -> Tensor:
        if isinstance(x, SparseRows):
            columns, x = compact(x)
            weights = self._met(weights, columns)
        return self._apply(weights, extras, x, n_stages)

    def _met(self, weights: list[Any], columns: Tensor) -> list[Any]:
        # to gather from a variable, rather than from its value, would make it such a one from then on
        rows = [w if self._by_row else w.value() for w in weights]
        return [tf.gather(r, columns) if k in self._by_feature else r for k, r in enumerate(rows)]

    def _apply(self, weights: list[Any], extras: list[Any], x: Any, n_stages: int | None) -> Tensor:
        return self._forward(weights, extras, x, None, None, None, False, n_stages=n_stages)[0]

    def _by_tile(self, function: Callable[[Tensor], Tensor], n_rows: Tensor, width: int) -> Tensor:
        def tile(i: Tensor, tiles: Any) -> tuple[Tensor, Any]:
            start = i * self._tile
            size = tf.minimum(self._tile, n_rows - start)
            filled = (size + STEP_ROWS - 1) // STEP_ROWS * STEP_ROWS
            rows = tf.minimum(start + tf.range(filled), n_rows - 1)  # with copies of the last row
            return i + 1, tiles.write(i, function(rows)[:size])

        n_tiles = (n_rows + self._tile - 1) // self._tile
        tiles = tf.TensorArray(self._network.dtype, size=n_tiles, element_shape=(None, width), infer_shape=False)
        _, tiles = tf.while_loop(lambda i, _: i < n_tiles, tile, (0, tiles), parallel_iterations=1)
        return tiles.concat()
