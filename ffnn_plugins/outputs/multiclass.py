"""The ``multiclass`` output: one score per class."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

from ffnn.native import NativeLoss
from ffnn.ops import Ops, Tensor
from ffnn_plugins.outputs import _losses
from ffnn_plugins.outputs._labels import Array, LabelOutput, clipped, exported_probabilities, is_labels

__all__ = ["MulticlassOutput"]


class MulticlassOutput(_losses.ClassificationLoss, LabelOutput):
    """Takes labels of any number of classes; the loss is the cross entropy under a softmax, or the focal loss.

    Parameters
    ----------
    loss : {"log_loss", "focal"}, default="log_loss"
        The cross entropy, or the focal loss of Lin et al. (2017), which reduces the weight of easy samples.
    gamma : float, default=2.0
        The focal loss multiplies the cross entropy by ``(1 - p) ** gamma``, p the probability of the true class.
    label_smoothing : float, default=0.0
        The fraction of each target that is spread evenly over all classes, in [0, 1).
    head : sequence of str or Layer, default=("dropout", "affine")
        The layers from the last hidden block to the scores: registered names, or instances.
    """

    activation = "softmax"

    @classmethod
    def accepts(cls, y: Any, classes: Array | None) -> bool:
        return is_labels(y) and len(np.unique(y) if classes is None else classes) > 2

    def _learn(self, n_classes: int) -> None:
        self._check_loss()
        self.n_outputs_ = n_classes

    def encode(self, y: Any, dtype: str) -> Array:
        return self._codes(y).astype(np.int32)

    def loss(self, ops: Ops, scores: Tensor, targets: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        losses = self._with_focal_factor(ops, ops.softmax_cross_entropy(scores, targets))
        if self.label_smoothing:
            every = self._with_focal_factor(ops, -ops.log_softmax(scores))
            losses = (1 - self.label_smoothing) * losses + self.label_smoothing * ops.mean(every, axis=1)
        return ops.sum(losses * weight), ops.sum(weight)

    def to_native(self) -> NativeLoss | None:
        return NativeLoss("softmax", gamma=self._focal_gamma, smoothing=self.label_smoothing)

    def _with_focal_factor(self, ops: Ops, cross_entropies: Tensor) -> Tensor:
        return _losses.focal_softmax(ops, cross_entropies, self.gamma) if self._loss == "focal" else cross_entropies

    def decision(self, scores: Array) -> Array:
        scores = self._effective_scores(scores)
        if self.n_outputs_ == 1:
            return -scores[:, 0]  # as for two classes, the first of which is certain
        # for two classes scikit-learn expects the log-odds of the second
        return scores[:, 1] - scores[:, 0] if self.n_outputs_ == 2 else scores

    def probabilities(self, scores: Array) -> Array:
        return clipped(scipy.special.softmax(self._effective_scores(scores).astype(np.float64), axis=1))

    def decode(self, scores: Array) -> Array:
        return np.asarray(self.classes_[self._effective_scores(scores).argmax(axis=1)])

    def export(self, ops: Ops, scores: Tensor) -> dict[str, Tensor]:
        scores = self._exported_scores(ops, scores)
        probabilities = ops.exp(ops.log_softmax(ops.cast(scores, "float64")))
        return {
            "label": self._exported_label(ops, ops.argmax(scores)),
            "probabilities": exported_probabilities(ops, probabilities),
        }
