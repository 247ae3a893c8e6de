"""The output called ``multiclass``: a score a class."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

from ffnn.ops import Ops, Tensor
from ffnn_plugins.outputs._labels import Array, LabelOutput, inside, is_labels

__all__ = ["MulticlassOutput"]


class MulticlassOutput(LabelOutput):
    """Takes labels of any number of classes; the loss is the cross entropy under a softmax."""

    activation = "softmax"

    @classmethod
    def accepts(cls, y: Any, classes: Array | None) -> bool:
        return is_labels(y) and len(np.unique(y) if classes is None else classes) > 2

    def _learn(self, n_classes: int) -> None:
        self.n_outputs_ = n_classes

    def encode(self, y: Any, dtype: str) -> Array:
        return self._codes(y).astype(np.int32)

    def loss(self, ops: Ops, scores: Tensor, targets: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        return ops.sum(ops.softmax_cross_entropy(scores, targets) * weight), ops.sum(weight)

    def probabilities(self, scores: Array) -> Array:
        return inside(scipy.special.softmax(scores.astype(np.float64), axis=1))

    def decode(self, scores: Array) -> Array:
        return np.asarray(self.classes_[scores.argmax(axis=1)])
