"""The output called ``multilabel``: a score a label, each label its own yes-or-no question."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import scipy.sparse
import scipy.special

from ffnn.ops import Ops, Tensor
from ffnn.output import Output
from ffnn_plugins.outputs._labels import Array, inside

__all__ = ["MultilabelOutput"]


def _dense(y: Any) -> Array:
    return np.asarray(y.toarray() if scipy.sparse.issparse(y) else y)


class MultilabelOutput(Output):
    """Takes an indicator matrix, dense or sparse: 1 for a label that holds, 0 for one that does not, −1 for unknown.

    The loss is the cross entropy under a sigmoid, averaged over the known entries; unknown ones add nothing to loss or
    score, and a row of none but unknown ones is allowed.
    """

    estimator_type = "classifier"
    activation = "sigmoid"

    @classmethod
    def accepts(cls, y: Any, classes: Array | None) -> bool:
        if y.ndim != 2 or y.shape[1] < 2:
            return False
        values = y.data if scipy.sparse.issparse(y) else y
        return values.dtype.kind in "biuf" and bool(np.isin(values, (-1, 0, 1)).all())

    def fit(self, y: Any, classes: Array | None, sample_weight: Array) -> Self:
        if y.ndim != 2:
            raise ValueError(f"output_layer='multilabel': expected y of shape (n_samples, n_labels), got {y.shape}.")
        self.n_outputs_ = y.shape[1]
        self.classes_ = np.arange(self.n_outputs_)
        if classes is not None and not np.array_equal(np.sort(np.asarray(classes)), self.classes_):
            raise ValueError(
                f"classes={classes!r}: expected the labels' indices, {self.classes_!r}, for a y with "
                f"{self.n_outputs_} columns. Leave classes out."
            )
        return self

    def encode(self, y: Any, dtype: str) -> Array:
        if y.ndim != 2 or y.shape[1] != self.n_outputs_:
            raise ValueError(f"y has shape {y.shape}; expected (n_samples, {self.n_outputs_}), as at the first fit.")
        y = _dense(y)
        if not np.isin(y, (-1, 0, 1)).all():
            raise ValueError(
                f"y has the values {np.unique(y)[:10].tolist()}; a multilabel indicator takes 1, 0 and, for a missing "
                "label, -1. Encode the labels with sklearn.preprocessing.MultiLabelBinarizer."
            )
        return np.asarray(y, dtype=dtype)

    def loss(self, ops: Ops, scores: Tensor, targets: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        known = ops.cast(targets >= 0, scores.dtype) * ops.reshape(weight, (-1, 1))
        return ops.sum(ops.sigmoid_cross_entropy(scores, targets) * known), ops.sum(known)

    def probabilities(self, scores: Array) -> Array:
        return inside(scipy.special.expit(scores.astype(np.float64)))

    def decode(self, scores: Array) -> Array:
        return (scores > 0).astype(np.int64)

    def score(self, y: Any, predictions: Array, sample_weight: Array | None) -> float:
        """Return the share of rows whose known labels are all predicted right; rows with none known do not count."""
        y = _dense(y)
        known = y >= 0
        right = ((y == predictions) | ~known).all(axis=1)
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        weight = weight * known.any(axis=1)
        if not weight.sum() > 0:
            raise ValueError("y has no known label in a row of positive sample weight; there is nothing to score.")
        return float(np.average(right, weights=weight))
