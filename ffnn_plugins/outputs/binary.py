"""The ``binary`` output: one score per row, the log-odds of the second class."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import scipy.special
from sklearn.utils import Tags

from ffnn.native import NativeLoss
from ffnn.ops import Ops, Tensor
from ffnn_plugins.outputs import _losses
from ffnn_plugins.outputs._labels import Array, LabelOutput, clipped, exported_probabilities, is_labels

__all__ = ["BinaryOutput"]


class BinaryOutput(_losses.ClassificationLoss, LabelOutput):
    """Takes labels of two classes; the loss is the cross entropy under a sigmoid, or the focal loss.

    Parameters
    ----------
    loss : {"log_loss", "focal"}, default="log_loss"
        The cross entropy, or the focal loss of Lin et al. (2017), which reduces the weight of easy samples.
    gamma : float, default=2.0
        The focal loss multiplies the cross entropy by ``(1 - p) ** gamma``, p the probability of the true class.
    label_smoothing : float, default=0.0
        The fraction of each target that is spread evenly over both classes, in [0, 1).
    head : sequence of str or Layer, default=("dropout", "affine")
        The layers from the last hidden block to the scores: registered names, or instances.
    """

    activation = "sigmoid"

    def adjust_tags(self, tags: Tags) -> None:
        super().adjust_tags(tags)
        tags.classifier_tags.multi_class = False

    @classmethod
    def accepts(cls, y: Any, classes: Array | None) -> bool:
        return is_labels(y) and len(np.unique(y) if classes is None else classes) <= 2

    def _learn(self, n_classes: int) -> None:
        self._check_loss()
        if n_classes > 2:
            raise ValueError(
                f"output_layer='binary': expected two classes, got {n_classes}: {self.classes_[:10]!r}. Only binary "
                "classification is supported. Use 'multiclass'."
            )
        self.n_outputs_ = 1

    def encode(self, y: Any, dtype: str) -> Array:
        return _losses.smoothed(self._codes(y).astype(dtype)[:, None], self.label_smoothing)

    def structure(self) -> Hashable:
        return self._key_without("label_smoothing")

    def loss(self, ops: Ops, scores: Tensor, targets: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        losses = self._losses(ops, scores, targets)
        return ops.sum(losses * ops.reshape(weight, (-1, 1))), ops.sum(weight)

    def to_native(self) -> NativeLoss | None:
        return NativeLoss("sigmoid", gamma=self._focal_gamma)

    def decision(self, scores: Array) -> Array:
        return self._effective_scores(scores)[:, 0]

    def probabilities(self, scores: Array) -> Array:
        positive = scipy.special.expit(self._effective_scores(scores).astype(np.float64))
        return clipped(np.hstack([1 - positive, positive])[:, : len(self.classes_)])

    def decode(self, scores: Array) -> Array:
        return np.asarray(self.classes_[(self._effective_scores(scores)[:, 0] > 0).astype(np.intp)])

    def export(self, ops: Ops, scores: Tensor) -> dict[str, Tensor]:
        scores = self._exported_scores(ops, scores)
        positive = ops.sigmoid(ops.cast(scores, "float64"))
        both = [1 - positive, positive][: len(self.classes_)]
        return {
            "label": self._exported_label(ops, ops.cast(ops.reshape(scores, (-1,)) > 0, "int64")),
            "probabilities": exported_probabilities(ops, ops.concatenate(both, 1)),
        }
