"""Predictions on TensorFlow: scores, and their gradients with respect to X, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.sparse
import tensorflow as tf

from ffnn.builders._state import Variables
from ffnn.builders._tensorflow import ops
from ffnn.builders._tensorflow.data.batches import Batches
from ffnn.builders._tensorflow.epoch.touched import compact
from ffnn.builders._tensorflow.first_product import forward_from_product
from ffnn.builders._tensorflow.forward import Architecture
from ffnn.builders._tensorflow.host import n_threads
from ffnn.builders._tensorflow.memory import view_of
from ffnn.builders._tensorflow.traced import TracedFunction
from ffnn.kernels import sparse_products
from ffnn.kernels.csr import CSR
from ffnn.model import Array, Rows
from ffnn.ops import NumpyOps, SparseRows, Tensor

__all__ = ["Prediction"]


#: Rows are predicted in multiples of this number, filled up if necessary. With other numbers some kernels round
#: differently, and a row's scores would depend on the number of rows predicted with it.
STEP_ROWS = 64
#: The most rows at a time, and the most values in them; only the values are limited if no copy is needed.
MOST_ROWS = 1024
MOST_VALUES = 2**23
#: At most this many sparse rows, with at least this many features, touch few of the weights and are not made dense.
#: Only here, and only without the kernel, may the number of rows change a score's last digit.
FEW_ROWS = 8
WIDE = 10_000
_HOST = NumpyOps()


class Prediction:
    """The forward pass of a trained network, and its gradients with respect to X.

    Parameters
    ----------
    architecture : Architecture
        The network.
    batches, sparse_batches : Batches
        The maker of batches, and one whose batches stay sparse.
    by_feature : sequence of int
        The positions of the trained weights that have one row per feature and are multiplied with sparse rows.
    assigns_rows : bool
        Whether training assigns single rows of those weights; TensorFlow then copies the variable whenever it is read.
    prefers_kernel : bool
        Whether the kernel is expected to be the fastest for training, and so for predictions.
    """

    def __init__(
        self,
        architecture: Architecture,
        batches: Batches,
        sparse_batches: Batches,
        by_feature: Sequence[int],
        *,
        assigns_rows: bool,
        prefers_kernel: bool,
    ) -> None:
        self._architecture = architecture
        network = self._network = architecture.network
        self._batches = batches
        self._sparse_batches = sparse_batches
        self._by_feature = tuple(by_feature)
        self._assigns_rows = assigns_rows
        alone, on_cpu = len(self._by_feature) == 1, not tf.config.list_logical_devices("GPU")
        # whether the first weights can be read without a copy
        self._on_host = alone and on_cpu and not assigns_rows and network.compute_dtype is None
        self._by_kernel = self._on_host and network.dtype == "float32" and prefers_kernel and sparse_products.is_there()
        n_rows = int(np.clip(MOST_VALUES // network.n_features, STEP_ROWS, MOST_ROWS))
        self._tile = n_rows // STEP_ROWS * STEP_ROWS
        self._scores = TracedFunction(self._score)
        self._gradients = TracedFunction(self._gradient)
        self._traced_rest = TracedFunction(self._after_product, sequential=True)

    def scores(self, variables: Variables, arrays: tuple[Any, ...], n_rows: int, layer: int | None = None) -> Any:
        """Return the scores of all rows, or the values of a hidden layer."""
        n_stages = None if layer is None else self._network.hidden[layer]
        network = self._network
        at_once = not network.input.sparse and n_rows % STEP_ROWS == 0 and n_rows * network.n_features <= MOST_VALUES
        at_once |= self._are_few(n_rows)
        return self._scores((variables,), (arrays, tf.constant(n_rows, tf.int32)), n_stages, at_once).numpy()

    def on_host(self, x: Rows) -> bool:
        """Return whether :meth:`scores_on_host` is the faster method for these rows."""
        return self._on_host and (self._kernel_takes(x.arrays) or self._are_few(x.n_rows))

    def scores_on_host(
        self, variables: Variables, arrays: tuple[Any, ...], n_rows: int, layer: int | None = None
    ) -> Any:
        """Return the same as :meth:`scores`, from NumPy arrays; the first product is computed outside TensorFlow."""
        network, (k,) = self._network, self._by_feature
        weight = view_of(variables.weights[k].value())
        rest = variables.without(k)
        n_stages = None if layer is None else network.hidden[layer]
        at_once = max(MOST_VALUES // weight.shape[1] // STEP_ROWS, 1) * STEP_ROWS
        values = []
        for start in range(0, n_rows, at_once):
            n_here = min(at_once, n_rows - start)
            here = arrays if n_here == n_rows else network.input.take(arrays, slice(start, start + n_here))
            product = self._product(here, n_here, weight)
            values.append(self._traced_rest((rest,), (tf.constant(product),), n_stages).numpy()[:n_here])
        return values[0] if len(values) == 1 else np.concatenate(values)

    def _product(self, arrays: tuple[Any, ...], n_rows: int, weight: Array) -> Array:
        """Return the product of some rows with the first weight; the kernel's is padded with rows of zeros."""
        network = self._network
        x = network.input.whole(_HOST, arrays, n_rows, network.n_features)
        x = self._sparse_batches.entry.apply(_HOST, x, {})
        if not self._kernel_takes(arrays):
            return scipy.sparse.csr_array((x.values, x.columns, x.splits), (n_rows, network.n_features)) @ weight
        product = np.zeros((-(-n_rows // STEP_ROWS) * STEP_ROWS, weight.shape[1]), np.float32)
        may = n_threads() if n_rows > STEP_ROWS else 1  # asking takes nearly as long as one row
        values = np.ascontiguousarray(x.values, np.float32)  # a stage may have changed their dtype
        sparse_products.multiply(CSR(x.splits, x.columns, values), weight, product[:n_rows], may)
        return product

    def _kernel_takes(self, arrays: tuple[Any, ...]) -> bool:
        """Return whether the kernel takes these rows."""
        return self._by_kernel and arrays[0].dtype == np.int32

    def gradients(self, variables: Variables, arrays: tuple[Any, ...], n_rows: int) -> Any:
        """Return the gradients of the scores of all rows with respect to X, output by output."""
        network = self._network
        result = np.empty((n_rows, network.n_outputs, network.n_features), network.dtype)
        for k, pick in enumerate(np.eye(network.n_outputs, dtype=network.dtype)):
            arguments = (arrays, tf.constant(n_rows, tf.int32), tf.constant(pick))
            result[:, k] = self._gradients((variables,), arguments).numpy()
        return result

    def _are_few(self, n_rows: int) -> bool:
        return bool(self._by_feature) and n_rows <= FEW_ROWS and self._network.n_features >= WIDE

    # -- traced ---------------------------------------------------------------------------------------------------

    def _score(
        self, variables: Variables, arrays: tuple[Any, ...], n_rows: Tensor, n_stages: int | None, at_once: bool
    ) -> Tensor:
        def scores(rows: Tensor) -> Tensor:
            return self._scores_of(variables, self._batches.rows(arrays, rows), n_stages)

        if at_once and self._network.input.sparse:
            columns, x = compact(self._sparse_batches.enter(self._whole(arrays, n_rows)))
            x = x if self._batches.stored else x.dense(ops)
            return self._apply(self._with_touched_rows(variables, columns), x, n_stages)
        if at_once:
            return self._apply(variables, self._whole(arrays, n_rows), n_stages)
        width = self._network.n_outputs if n_stages is None else self._network.stages[n_stages - 1].n_outputs
        return self._by_tile(scores, n_rows, width)

    def _after_product(self, rest: Variables, product: Tensor, n_stages: int | None) -> Tensor:
        (k,), (weights, extras, _) = self._by_feature, rest
        return forward_from_product(
            self._architecture, k, product=product, weights=weights, extras=extras, n_stages=n_stages
        ).scores

    def _gradient(self, variables: Variables, arrays: tuple[Any, ...], n_rows: Tensor, pick: Tensor) -> Tensor:
        network = self._network

        def gradient(rows: Tensor) -> Tensor:
            x = network.input.gather(ops, arrays, rows, network.n_features)
            x = tf.ensure_shape(x.dense(ops) if isinstance(x, SparseRows) else x, (None, network.n_features))
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(x)
                entering = network.entering(ops, x)
                entering = self._batches.enter(entering) if isinstance(entering, SparseRows) else entering
                # each row's scores depend on that row alone, so the gradient of the sum has the gradient of each row
                score = tf.reduce_sum(self._scores_of(variables, entering) * pick)
            return tape.gradient(score, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        return self._by_tile(gradient, n_rows, network.n_features)

    def _whole(self, arrays: tuple[Any, ...], n_rows: Tensor) -> Any:
        return self._network.input.whole(ops, arrays, n_rows, self._network.n_features)

    def _scores_of(self, variables: Variables, x: Any, n_stages: int | None = None) -> Tensor:
        """Return the scores of a batch after the entry stages."""
        if isinstance(x, SparseRows):
            columns, x = compact(x)
            variables = self._with_touched_rows(variables, columns)
        return self._apply(variables, x, n_stages)

    def _with_touched_rows(self, variables: Variables, columns: Tensor) -> Variables:
        """Return the variables with only those rows of the first weights that a batch touches."""
        # gathering from the variable itself would make TensorFlow copy it whenever it is read
        rows = [w if self._assigns_rows else w.value() for w in variables.weights]
        touched = [tf.gather(r, columns) if k in self._by_feature else r for k, r in enumerate(rows)]
        return variables._replace(weights=touched)

    def _apply(self, variables: Variables, x: Any, n_stages: int | None) -> Tensor:
        weights, extras, _ = variables
        return self._architecture.forward(weights=weights, extras=extras, x=x, n_stages=n_stages).scores

    def _by_tile(self, function: Callable[[Tensor], Tensor], n_rows: Tensor, width: int) -> Tensor:
        def tile(i: Tensor, tiles: Any) -> tuple[Tensor, Any]:
            start = i * self._tile
            size = tf.minimum(self._tile, n_rows - start)
            n_filled = (size + STEP_ROWS - 1) // STEP_ROWS * STEP_ROWS
            rows = tf.minimum(start + tf.range(n_filled), n_rows - 1)  # filled up with copies of the last row
            return i + 1, tiles.write(i, function(rows)[:size])

        n_tiles = (n_rows + self._tile - 1) // self._tile
        tiles = tf.TensorArray(self._network.dtype, size=n_tiles, element_shape=(None, width), infer_shape=False)
        _, tiles = tf.while_loop(lambda i, _: i < n_tiles, tile, (0, tiles), parallel_iterations=1)
        return tiles.concat()
