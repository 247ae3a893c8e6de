"""The output called ``regression``: a real number, or several, a row."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.metrics import r2_score

from ffnn.ops import Ops, Tensor
from ffnn.output import Output

__all__ = ["RegressionOutput"]

Array = np.ndarray[Any, np.dtype[Any]]


class RegressionOutput(Output):
    """Takes one or several real targets; the loss is half the squared error of the standardised targets.

    The network learns targets of mean 0 and variance 1, so that the learning rate need not know their unit; predictions
    come back in the user's.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_outputs,)
        The weighted mean and standard deviation of the targets of the first fit; 1 for a constant target.
    """

    estimator_type = "regressor"

    @classmethod
    def accepts(cls, y: Any, classes: Array | None) -> bool:
        return y.ndim in (1, 2)

    def fit(self, y: Any, classes: Array | None, sample_weight: Array) -> Self:
        columns = self._columns(y)
        self.n_outputs_ = columns.shape[1]
        self.n_dimensions_ = y.ndim
        self.mean_ = np.average(columns, axis=0, weights=sample_weight)
        variance = np.average((columns - self.mean_) ** 2, axis=0, weights=sample_weight)
        # a constant's variance is a rounding error of its mean: dividing by it would blow that error up
        constant = variance <= (10 * np.finfo(np.float64).eps * np.abs(self.mean_)) ** 2
        self.scale_ = np.where(constant, 1.0, np.sqrt(variance))
        return self

    def encode(self, y: Any, dtype: str) -> Array:
        columns = self._columns(y)
        if y.ndim != self.n_dimensions_ or columns.shape[1] != self.n_outputs_:
            expected = "(n_samples,)" if self.n_dimensions_ == 1 else f"(n_samples, {self.n_outputs_})"
            raise ValueError(f"y has shape {y.shape}; expected {expected}, as at the first fit.")
        return np.asarray((columns - self.mean_) / self.scale_, dtype=dtype)

    def loss(self, ops: Ops, scores: Tensor, targets: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        losses = ops.mean(ops.square(scores - targets), axis=1) * 0.5
        return ops.sum(losses * weight), ops.sum(weight)

    def decode(self, scores: Array) -> Array:
        predictions = np.asarray(scores * self.scale_ + self.mean_)
        return predictions[:, 0] if self.n_dimensions_ == 1 else predictions

    def to_keras(self, keras: Any, scores: Any, dtype: str) -> Any:
        scale, offset = self.scale_.tolist(), self.mean_.tolist()
        return keras.layers.Rescaling(scale, offset, name="output_rescaling", dtype=dtype)(scores)

    def score(self, y: Any, predictions: Array, sample_weight: Array | None) -> float:
        return float(r2_score(y, predictions, sample_weight=sample_weight))

    @staticmethod
    def _columns(y: Any) -> Array:
        try:
            columns = np.asarray(y, dtype=np.float64)
        except ValueError as error:
            raise ValueError(f"y: expected numbers, got {error}. Labels are for MLPClassifier.") from error
        return columns[:, None] if columns.ndim == 1 else columns
