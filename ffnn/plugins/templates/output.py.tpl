"""The output ``$name``."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from ffnn.model import Array
from ffnn.ops import Ops, Tensor
from ffnn.output import Output
from sklearn.metrics import r2_score


class $cls(Output):
    """Takes one number a row; the loss is log cosh(error), quadratic near zero and linear far out.

    Attributes
    ----------
    mean_, scale_ : float
        The mean and the standard deviation of the targets, by which they are standardised.
    """

    estimator_type = "regressor"

    @classmethod
    def accepts(cls, y: Any, classes: Array | None) -> bool:
        """Return False: ``output_layer="auto"`` never chooses it, but the squared error."""
        return False

    def fit(self, y: Any, classes: Array | None, sample_weight: Array) -> Self:
        """Learn what encoding and decoding need."""
        numbers = self._numbers(y)
        self.n_outputs_ = 1
        self.mean_ = float(np.average(numbers, weights=sample_weight))
        self.scale_ = float(np.sqrt(np.average((numbers - self.mean_) ** 2, weights=sample_weight))) or 1.0
        return self

    def encode(self, y: Any, dtype: str) -> Array:
        """Return the targets as the loss takes them."""
        return np.asarray((self._numbers(y) - self.mean_) / self.scale_, dtype=dtype)

    def loss(self, ops: Ops, scores: Tensor, targets: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted sum of the losses of a batch, and the weight to divide it by, on any engine."""
        error = ops.abs(ops.reshape(scores, (-1,)) - targets)
        # log cosh e = e + log(1 + exp(-2e)) - log 2, which does not overflow
        losses = error + ops.log1p(ops.exp(-2.0 * error)) - float(np.log(2.0))
        return ops.sum(losses * weight), ops.sum(weight)

    def decode(self, scores: Array) -> Array:
        """Return the predictions."""
        return np.asarray(scores[:, 0] * self.scale_ + self.mean_, dtype=np.float64)

    def export(self, ops: Ops, scores: Tensor) -> dict[str, Tensor]:
        """Return the predictions of an exported model, in its own operations."""
        return {"value": ops.cast(ops.reshape(scores, (-1,)), "float64") * self.scale_ + self.mean_}

    def score(self, y: Any, predictions: Array, sample_weight: Array | None) -> float:
        """Return the coefficient of determination."""
        return float(r2_score(y, predictions, sample_weight=sample_weight))

    def _numbers(self, y: Any) -> Array:
        numbers = np.asarray(y, dtype=np.float64)
        if numbers.ndim != 1:
            raise ValueError(f"output_layer='$name': y has shape {numbers.shape}; expected (n_samples,).")
        return numbers
