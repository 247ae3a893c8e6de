"""A network as a SavedModel that runs without ffnn and without Keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from ffnn.builders._tensorflow import ops
from ffnn.model import Arrays
from ffnn.network import Network
from ffnn.ops import SparseRows, Tensor

__all__ = ["save_tensorflow"]

#: The error for rows that the estimator would refuse; TensorFlow appends "Tensor had NaN values".
_NOT_FINITE = "X: expected finite numbers"

Scores = Callable[[Mapping[str, Tensor], Any], Tensor]


class _Exported(tf.Module):
    """A network, its weights, and the outputs made from its scores."""

    def __init__(self, network: Network, weights: Arrays, scores: Scores) -> None:
        super().__init__()
        self.variables_by_name = {name: tf.Variable(value, trainable=False) for name, value in weights.items()}
        self._network = network
        self._scores = scores

    def dense(self, X: Tensor) -> dict[str, Tensor]:
        rows = tf.debugging.check_numerics(tf.cast(X, self._network.dtype), _NOT_FINITE)
        return self._predict(self._network.entering(ops, rows))

    def sparse(self, indptr: Tensor, indices: Tensor, data: Tensor) -> dict[str, Tensor]:
        values = tf.debugging.check_numerics(tf.cast(data, self._network.dtype), _NOT_FINITE)
        return self._predict(SparseRows(indptr, indices, values, (tf.size(indptr) - 1, self._network.n_features)))

    def _predict(self, x: Any) -> dict[str, Tensor]:
        weights = {name: tf.convert_to_tensor(variable) for name, variable in self.variables_by_name.items()}
        return {
            name: tf.identity(value, name=name)
            for name, value in self._network.output.export(ops, self._scores(weights, x)).items()
        }


def network_scores(network: Network) -> Scores:
    """Return the function that computes a network's scores."""

    def scores(weights: Mapping[str, Tensor], x: Any) -> Tensor:
        scores = network.apply(ops, x, weights)
        return scores.dense(ops) if isinstance(scores, SparseRows) else scores

    return scores


def save_tensorflow(network: Network, weights: Arrays, dtype: str, path: Path, scores: Scores | None = None) -> None:
    """Write a SavedModel.

    Its signature ``serving_default`` takes ``X`` of shape (n_rows, n_features). If the network was trained on sparse
    rows, the signature ``csr`` takes the arrays ``indptr``, ``indices`` and ``data`` of a SciPy CSR matrix without
    duplicate entries.

    Parameters
    ----------
    network : Network
        The description.
    weights : dict of str to ndarray
        The learned weights.
    dtype : str
        The dtype of the model's X.
    path : Path
        The folder.
    scores : callable, optional
        The function that computes the scores; by default the network's own.
    """
    module = _Exported(network, weights, scores or network_scores(network))
    rows = tf.TensorSpec([None, network.n_features], dtype, name="X")
    module.__call__ = tf.function(module.dense, input_signature=[rows], autograph=False)
    signatures = {"serving_default": module.__call__.get_concrete_function()}
    if network.input.sparse and scores is None:
        specs = [
            tf.TensorSpec([None], tf.int32, name="indptr"),
            tf.TensorSpec([None], tf.int32, name="indices"),
            tf.TensorSpec([None], dtype, name="data"),
        ]
        module.csr = tf.function(module.sparse, input_signature=specs, autograph=False)
        signatures["csr"] = module.csr.get_concrete_function()
    tf.saved_model.save(module, str(path), signatures=signatures)
