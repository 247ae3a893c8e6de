"""The output called ``binary``: one score a row, the log-odds of the second class."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

from ffnn.ops import Ops, Tensor
from ffnn_plugins.outputs._labels import Array, LabelOutput, inside, is_labels

__all__ = ["BinaryOutput"]


class BinaryOutput(LabelOutput):
    """Takes labels of two classes; the loss is the cross entropy under a sigmoid."""

    activation = "sigmoid"

    @classmethod
    def accepts(cls, y: Any, classes: Array | None) -> bool:
        return is_labels(y) and len(np.unique(y) if classes is None else classes) <= 2

    def _learn(self, n_classes: int) -> None:
        if n_classes > 2:
            raise ValueError(
                f"output_layer='binary': expected two classes, got {n_classes}: {self.classes_[:10]!r}. "
                "Use 'multiclass'."
            )
        self.n_outputs_ = 1

    def encode(self, y: Any, dtype: str) -> Array:
        return self._codes(y).astype(dtype)[:, None]

    def loss(self, ops: Ops, scores: Tensor, targets: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        losses = ops.sigmoid_cross_entropy(scores, targets)
        return ops.sum(losses * ops.reshape(weight, (-1, 1))), ops.sum(weight)

    def decision(self, scores: Array) -> Array:
        return scores[:, 0]

    def probabilities(self, scores: Array) -> Array:
        positive = scipy.special.expit(scores.astype(np.float64))
        return inside(np.hstack([1 - positive, positive]))

    def decode(self, scores: Array) -> Array:
        return np.asarray(self.classes_[(scores[:, 0] > 0).astype(np.intp)])
