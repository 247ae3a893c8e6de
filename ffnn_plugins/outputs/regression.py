"""The ``regression`` output: one or several real numbers per row."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils import Tags

from ffnn.model import Array
from ffnn.native import NativeLoss
from ffnn.ops import Ops, Tensor
from ffnn.output import Output
from ffnn_plugins.outputs import _losses

if TYPE_CHECKING:
    from ffnn.layer import Layer

__all__ = ["RegressionOutput"]


class RegressionOutput(_losses.ChosenLoss, Output):
    """Takes one or several real targets.

    Targets are standardised to mean 0 and variance 1, so that the learning rate does not depend on their unit. The loss
    is computed on the standardised targets, averaged over several; predictions are in the unit of y.

    With ``loss="poisson"`` targets are counts or other non-negative numbers, and are not standardised: a score is a
    logarithm, and the prediction is ``exp(score)`` times the mean target, so that a score of 0 predicts the mean.

    The default ``score`` is R² for every loss. It says little of quantiles other than the median; for these use
    ``sklearn.metrics.mean_pinball_loss``.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber", "quantile", "poisson"}, default="squared_error"
        Half the squared error; the absolute error, which predicts the median; Huber's loss, quadratic for small errors
        and linear for large ones; the pinball loss of a quantile; half the Poisson deviance.
    delta : float, default=1.0
        The error beyond which Huber's loss is linear, in the unit of y, the same for all targets.
    quantile : float, default=0.5
        The quantile that ``loss="quantile"`` predicts, in (0, 1).
    head : sequence of str or Layer, default=("dropout", "affine")
        The layers from the last hidden block to the scores: registered names, or instances.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_outputs,)
        The weighted mean and standard deviation of the targets of the first fit, 1 for a constant target; for
        ``loss="poisson"`` zero and the weighted mean.
    """

    estimator_type = "regressor"
    # defaults for subclasses whose own __init__ does not set them
    _loss = "squared_error"
    delta: float = 1.0
    quantile: float = 0.5

    def __init__(
        self,
        loss: str = "squared_error",
        delta: float = 1.0,
        quantile: float = 0.5,
        head: Sequence[str | Layer] = ("dropout", "affine"),
    ) -> None:
        self._loss = loss
        self.delta = delta
        self.quantile = quantile
        self.head = head

    def adjust_tags(self, tags: Tags) -> None:
        tags.target_tags.positive_only = self._loss == "poisson"
        # the score is R², which falls as the prediction of a quantile in the tail improves
        tags.regressor_tags.poor_score = self._loss == "quantile" and self.quantile != 0.5

    @classmethod
    def accepts(cls, y: Any, classes: Array | None) -> bool:
        return y.ndim in (1, 2)

    def fit(self, y: Any, classes: Array | None, sample_weight: Array) -> Self:
        _losses.check_regression_loss(type(self).__name__, self._loss, self.delta, self.quantile)
        columns = self._columns(y)
        self.n_outputs_ = columns.shape[1]
        self.n_dimensions_ = y.ndim
        # scale by a power of two, which is exact, so that neither the sum nor the squares overflow
        unit = np.ldexp(1.0, np.frexp(np.abs(columns).max(axis=0, initial=0.0))[1] - 1)
        columns = columns / unit
        self.mean_ = np.average(columns, axis=0, weights=sample_weight)
        if self._loss == "poisson":
            self.scale_ = np.where(self.mean_ > 0, self.mean_ * unit, 1.0)
            self.mean_ = np.zeros_like(self.mean_)
            return self
        variance = np.average((columns - self.mean_) ** 2, axis=0, weights=sample_weight)
        # the variance of a constant is the rounding error of its mean: dividing by it would magnify the error
        constant = variance <= (10 * np.finfo(np.float64).eps * np.abs(self.mean_)) ** 2
        self.scale_ = np.where(constant, 1.0, np.sqrt(variance) * unit)
        self.mean_ = self.mean_ * unit
        return self

    def encode(self, y: Any, dtype: str) -> Array:
        columns = self._columns(y)
        if y.ndim != self.n_dimensions_ or columns.shape[1] != self.n_outputs_:
            expected = "(n_samples,)" if self.n_dimensions_ == 1 else f"(n_samples, {self.n_outputs_})"
            raise ValueError(f"y has shape {y.shape}; expected {expected}, as at the first fit.")
        standard = (columns - self.mean_) / self.scale_
        if self._loss == "huber":
            # delta is passed as data, in the unit of the scores, so that one program serves all deltas and folds
            standard = np.hstack([standard, np.broadcast_to(self.delta / self.scale_, standard.shape)])
        with np.errstate(over="ignore"):  # training refuses infinite targets
            return np.asarray(standard, dtype=dtype)

    def loss(self, ops: Ops, scores: Tensor, targets: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        return ops.sum(ops.mean(self._losses(ops, scores, targets), axis=1) * weight), ops.sum(weight)

    def _losses(self, ops: Ops, scores: Tensor, targets: Tensor) -> Tensor:
        if self._loss == "huber":
            return _losses.huber(ops, scores, targets[:, : self.n_outputs_], targets[:, self.n_outputs_ :])
        if self._loss == "quantile":
            return _losses.pinball(ops, scores, targets, self.quantile)
        known = {
            "absolute_error": _losses.absolute_error,
            "poisson": _losses.poisson,
            "squared_error": _losses.squared_error,
        }
        return known[self._loss](ops, scores, targets)

    def to_native(self) -> NativeLoss | None:
        kind: Any = self._loss  # checked by `fit`
        return NativeLoss(kind, quantile=self.quantile)

    def structure(self) -> Hashable:
        return self._key_without("delta")

    def decode(self, scores: Array) -> Array:
        if self._loss == "poisson":
            # stays finite, and its square too, however far a row lies from the training data
            scores = np.exp(np.minimum(scores, _losses.MAX_LOG, dtype=np.float64))
        predictions = np.asarray(scores * self.scale_ + self.mean_)
        return predictions[:, 0] if self.n_dimensions_ == 1 else predictions

    def export(self, ops: Ops, scores: Tensor) -> dict[str, Tensor]:
        # in float64 as in `decode`: a date in seconds has more digits than float32
        scores = ops.cast(scores, "float64")
        if self._loss == "poisson":
            scores = ops.exp(ops.minimum(scores, _losses.MAX_LOG * ops.ones_like(scores)))
        value = scores * self.scale_ + self.mean_
        return {"value": ops.reshape(value, (-1,)) if self.n_dimensions_ == 1 else value}

    def in_units(self, gradients: Array) -> Array:
        if self._loss == "poisson":
            return gradients  # of the logarithm
        return np.asarray(gradients * self.scale_[:, None], dtype=gradients.dtype)

    def to_keras(self, keras: Any, scores: Any, dtype: str) -> Any:
        if self._loss == "poisson":
            scores = keras.layers.Activation("exponential", name="output_exponential", dtype=dtype)(scores)
        scale, offset = self.scale_.tolist(), self.mean_.tolist()
        return keras.layers.Rescaling(scale, offset, name="output_rescaling", dtype=dtype)(scores)

    def score(self, y: Any, predictions: Array, sample_weight: Array | None) -> float:
        from sklearn.metrics import r2_score  # and with it all metrics, which a fit does not need

        return float(r2_score(y, predictions, sample_weight=sample_weight))

    def _columns(self, y: Any) -> Array:
        try:
            columns = np.asarray(y, dtype=np.float64)
        except ValueError as error:
            raise ValueError(f"y: expected numbers, got {error}. Labels are for MLPClassifier.") from error
        if self._loss == "poisson" and columns.size and columns.min() < 0:
            raise ValueError(
                f"RegressionOutput.loss='poisson': expected targets of at least 0, such as counts; y has "
                f"{columns.min():g}. Use another loss, such as 'squared_error'."
            )
        return columns[:, None] if columns.ndim == 1 else columns
