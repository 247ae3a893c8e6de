"""The ``multilabel`` output: one score per label, each label an independent binary classification."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import scipy.sparse
import scipy.special

from ffnn._utils.checks import check_number
from ffnn.native import NativeLoss
from ffnn.ops import Ops, Tensor
from ffnn.output import Output, encoded_by
from ffnn.training.weights import near_one
from ffnn_plugins.outputs import _losses
from ffnn_plugins.outputs._labels import Array, clipped, exported_probabilities

__all__ = ["MultilabelOutput"]


def _dense(y: Any) -> Array:
    return np.asarray(y.toarray() if scipy.sparse.issparse(y) else y)


class MultilabelOutput(_losses.ClassificationLoss, Output):
    """Takes an indicator matrix, dense or sparse: 1 for a label that holds, 0 for one that does not, −1 for unknown.

    The loss is the cross entropy under a sigmoid, or the focal loss, averaged over the known entries. Unknown entries
    add nothing to loss or score. A row may consist of unknown entries only; if all entries of y are unknown, ``fit``
    raises an error. If all entries of a label are, it warns, since predictions of that label are meaningless.

    If y has −1, do not use scikit-learn's ``cross_val_predict`` with ``predict_proba`` or ``decision_function``: it
    encodes each column first, so that −1, 0, 1 become 0, 1, 2, and −1, 1 become 0, 1: other labels. Fit each fold
    yourself.

    Parameters
    ----------
    loss : {"log_loss", "focal"}, default="log_loss"
        The cross entropy, or the focal loss of Lin et al. (2017), which reduces the weight of easy entries.
    gamma : float, default=2.0
        The focal loss multiplies the cross entropy by ``(1 - p) ** gamma``, p the probability of the true answer.
    label_smoothing : float, default=0.0
        The fraction of each known entry that is spread evenly over 0 and 1, in [0, 1).
    head : sequence of str or Layer, default=("dropout", "affine")
        The layers from the last hidden block to the scores: registered names, or instances.
    """

    estimator_type = "classifier"
    activation = "sigmoid"

    label_weights_: Array | None = None  # of shape (n_labels, 2): for entries that are 0 and 1

    @classmethod
    def accepts(cls, y: Any, classes: Array | None) -> bool:
        if y.ndim != 2 or y.shape[1] < 2:
            return False
        values = y.data if scipy.sparse.issparse(y) else y
        return values.dtype.kind in "biuf" and bool(np.isin(values, (-1, 0, 1)).all())

    def fit(self, y: Any, classes: Array | None, sample_weight: Array) -> Self:
        self._check_loss()
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

    def balance(self, class_weight: Any, y: Any, sample_weight: Array) -> None:
        if class_weight is None:
            self.label_weights_ = None
            return
        y = _dense(y)
        if isinstance(class_weight, str) and class_weight == "balanced":
            counts = np.stack([((y == value) * sample_weight[:, None]).sum(axis=0) for value in (0, 1)], axis=1)
            weights = counts.sum(axis=1, keepdims=True) / (2 * np.maximum(counts, 1e-300))
            self.label_weights_ = np.where(counts > 0, weights, 1.0)  # one value alone has nothing to balance
            return
        several = isinstance(class_weight, Sequence) and not isinstance(class_weight, str | bytes)
        if not several or len(class_weight) != self.n_outputs_ or not all(isinstance(w, Mapping) for w in class_weight):
            raise ValueError(
                f"class_weight={class_weight!r}: for {self.n_outputs_} labels expected 'balanced', or a list of as "
                "many dicts {0: weight, 1: weight}."
            )
        remedy = "It is a factor of the entries with that value."
        self.label_weights_ = np.array(
            [
                [check_number(f"class_weight[{i}][{value}]", given.get(value, 1.0), remedy) for value in (0, 1)]
                for i, given in enumerate(class_weight)
            ]
        )
        self.label_weights_ = near_one(self.label_weights_)

    def taught(self, y: Any, sample_weight: Array) -> Array:
        y = _dense(y)[sample_weight > 0]
        weights = np.ones((self.n_outputs_, 2)) if self.label_weights_ is None else self.label_weights_
        return np.asarray((((y == 0) & (weights[:, 0] > 0)) | ((y > 0) & (weights[:, 1] > 0))).any(axis=0))

    def encode(self, y: Any, dtype: str) -> Array:
        if y.ndim != 2 or y.shape[1] != self.n_outputs_:
            raise ValueError(f"y has shape {y.shape}; expected (n_samples, {self.n_outputs_}), as at the first fit.")
        y = _dense(y)
        if not np.isin(y, (-1, 0, 1)).all():
            raise ValueError(
                f"y has the values {np.unique(y)[:10].tolist()}; a multilabel indicator takes 1, 0 and, for a missing "
                "label, -1. Encode the labels with sklearn.preprocessing.MultiLabelBinarizer." + encoded_by(y)
            )
        y = np.asarray(y, dtype=dtype)
        targets = np.where(y < 0, y, _losses.smoothed(y, self.label_smoothing))
        if self.label_weights_ is None:
            return targets
        # the weights of the entries are passed as data, beside the targets, since they differ between folds
        negative, positive = self.label_weights_.T
        return np.hstack([targets, np.where(y > 0, positive, negative).astype(dtype)])

    def structure(self) -> Hashable:
        return (self._key_without("label_smoothing"), self.label_weights_ is not None)

    def loss(self, ops: Ops, scores: Tensor, targets: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        n = self.n_outputs_
        of_entries, targets = targets[:, n:], targets[:, :n]
        known = ops.cast(targets >= 0, scores.dtype) * ops.reshape(weight, (-1, 1))
        if self.label_weights_ is not None:
            known = known * ops.cast(of_entries, scores.dtype)
        return ops.sum(self._losses(ops, scores, targets) * known), ops.sum(known)

    def to_native(self) -> NativeLoss | None:
        return NativeLoss("sigmoid", gamma=self._focal_gamma, weighted=self.label_weights_ is not None)

    def probabilities(self, scores: Array) -> Array:
        return clipped(scipy.special.expit(scores.astype(np.float64)))

    def decode(self, scores: Array) -> Array:
        return (scores > 0).astype(np.int64)

    def export(self, ops: Ops, scores: Tensor) -> dict[str, Tensor]:
        probabilities = ops.sigmoid(ops.cast(scores, "float64"))
        return {
            "label": ops.cast(scores > 0, "int64"),
            "probabilities": exported_probabilities(ops, probabilities),
        }

    def score(self, y: Any, predictions: Array, sample_weight: Array | None) -> float:
        """Return the fraction of rows whose known labels are all predicted correctly, ignoring rows without any."""
        y = _dense(y)
        known = y >= 0
        right = ((y == predictions) | ~known).all(axis=1)
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        weight = weight * known.any(axis=1)
        if not weight.sum() > 0:
            raise ValueError("y has no known label in a row of positive sample weight; there is nothing to score.")
        return float(np.average(right, weights=weight))
