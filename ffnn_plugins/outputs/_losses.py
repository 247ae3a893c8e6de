"""The elementwise losses of the built-in outputs, and the parameters that choose among them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ffnn._utils.checks import check_choice, check_fraction, check_number
from ffnn._utils.keys import parameters_key
from ffnn.model import Array
from ffnn.ops import Ops, Tensor

if TYPE_CHECKING:
    from ffnn.layer import Layer

__all__ = [
    "CLASSIFICATION_LOSSES",
    "MAX_LOG",
    "REGRESSION_LOSSES",
    "ChosenLoss",
    "ClassificationLoss",
    "absolute_error",
    "check_regression_loss",
    "focal",
    "focal_softmax",
    "huber",
    "pinball",
    "poisson",
    "smoothed",
    "squared_error",
]


CLASSIFICATION_LOSSES = ("log_loss", "focal")
REGRESSION_LOSSES = ("squared_error", "absolute_error", "huber", "quantile", "poisson")

#: The score above which exp(score) is replaced by its tangent, so that neither loss nor gradient overflows in float32.
MAX_LOG = 60.0
#: The lower bound of 1 − p in a power: smaller ones are 0 in float32, where the power has no gradient.
_MIN_COMPLEMENT = 1e-7


class ChosenLoss:
    """Mixin for outputs with a parameter ``loss``, which is stored as ``_loss`` since the method has the name."""

    _loss: Any
    n_outputs_: int

    def structure(self) -> Hashable:
        """Return a key of everything that a traced program depends on."""
        return self._key_without()

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name."""
        params: dict[str, Any] = super().get_params(deep=deep)  # type: ignore[misc]  # BaseEstimator's
        return params | {"loss": self._loss} if "loss" in params else params  # a subclass may have none

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name."""
        if "loss" in params:
            self._loss = params.pop("loss")
        super().set_params(**params)  # type: ignore[misc]  # BaseEstimator's
        return self

    def _key_without(self, *names: str) -> Hashable:
        """Return the key without the parameters ``names``, which affect a program through the targets only.

        The head is left out too: its layers are stages of the network, which have keys of their own.
        """
        key: Any = parameters_key(self)
        kept = (entry for entry in key[1:] if entry[0] not in (*names, "head"))
        return (key[0], *kept, self.n_outputs_)


class ClassificationLoss(ChosenLoss):
    """Mixin with the parameters of the classification losses; list it before an output's other bases."""

    # defaults for subclasses whose own __init__ does not set them
    _loss = "log_loss"
    gamma: float = 2.0
    label_smoothing: float = 0.0

    def __init__(
        self,
        loss: str = "log_loss",
        gamma: float = 2.0,
        label_smoothing: float = 0.0,
        head: Sequence[str | Layer] = ("dropout", "affine"),
    ) -> None:
        self._loss = loss
        self.gamma = gamma
        self.label_smoothing = label_smoothing
        self.head = head

    def _check_loss(self) -> None:
        """Check the loss and its parameters; called by ``fit``.

        Raises
        ------
        TypeError, ValueError
            If the loss is unknown, or a parameter is out of range.
        """
        name = type(self).__name__
        check_choice(f"{name}.loss", self._loss, CLASSIFICATION_LOSSES, "leave it at 'log_loss'")
        check_number(f"{name}.gamma", self.gamma, "It is how strongly a focal loss reduces easy samples; 2 is usual.")
        remedy = "It is the fraction of each target spread over the classes: 0.1 is usual, 0 for none."
        check_fraction(f"{name}.label_smoothing", self.label_smoothing, remedy)

    @property
    def _focal_gamma(self) -> float | None:
        return self.gamma if self._loss == "focal" else None

    def _losses(self, ops: Ops, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each entry of targets in [0, 1] under a sigmoid."""
        return (
            focal(ops, scores, targets, self.gamma)
            if self._loss == "focal"
            else ops.sigmoid_cross_entropy(scores, targets)
        )


def check_regression_loss(name: str, loss: Any, delta: Any, quantile: Any) -> None:
    """Check a regression loss and its parameters, which errors call ``{name}.loss`` and so on.

    Raises
    ------
    TypeError, ValueError
        If the loss is unknown, or a parameter is out of range.
    """
    check_choice(f"{name}.loss", loss, REGRESSION_LOSSES, "leave it at 'squared_error'")
    remedy = "It is the error, in the unit of y, beyond which Huber's loss is linear."
    check_number(f"{name}.delta", delta, remedy, positive=True)
    remedy = "It is the fraction of the targets that should lie below a prediction; 0.5 is the median."
    check_fraction(f"{name}.quantile", quantile, remedy, positive=True, expected="a number in (0, 1)")


# -- regression: functions of scores and targets ---------------------------------------------------------------------


def squared_error(ops: Ops, scores: Tensor, targets: Tensor) -> Tensor:
    """Return half the squared differences."""
    return ops.square(scores - targets) * 0.5


def absolute_error(ops: Ops, scores: Tensor, targets: Tensor) -> Tensor:
    """Return the absolute differences."""
    return ops.abs(scores - targets)


def huber(ops: Ops, scores: Tensor, targets: Tensor, delta: Tensor) -> Tensor:
    """Return half the squared differences up to ``delta``, and beyond it the tangent at ``delta``.

    P. J. Huber (1964), "Robust estimation of a location parameter", Annals of Mathematical Statistics 35.
    """
    error = ops.abs(scores - targets)
    inner = ops.minimum(error, delta)
    return inner * (error - 0.5 * inner)


def pinball(ops: Ops, scores: Tensor, targets: Tensor, quantile: float) -> Tensor:
    """Return the error times ``quantile`` where scores are too low, and times ``1 - quantile`` where they are too high.

    R. Koenker and G. Bassett (1978), "Regression quantiles", Econometrica 46.
    """
    error = targets - scores
    # not the maximum of two products: engines differ in its gradient where both are 0
    return 0.5 * ops.abs(error) + (quantile - 0.5) * error


def poisson(ops: Ops, scores: Tensor, targets: Tensor) -> Tensor:
    """Return half the Poisson deviance between non-negative targets and ``exp(scores)``."""
    inner = ops.minimum(scores, MAX_LOG * ops.ones_like(scores))
    mean = ops.exp(inner) * (1 + scores - inner)
    positive = targets > 0
    log = ops.log(ops.where(positive, targets, ops.ones_like(targets)))
    return mean - targets + targets * (log - scores)


# -- classification --------------------------------------------------------------------------------------------------


def smoothed(targets: Array, share: float) -> Array:
    """Return targets in {0, 1} moved towards 1/2 by ``share``.

    C. Szegedy et al. (2016), "Rethinking the Inception architecture for computer vision", CVPR, section 7.
    """
    return np.asarray(targets * (1 - share) + share / 2, dtype=targets.dtype)


def focal(ops: Ops, scores: Tensor, targets: Tensor, gamma: float) -> Tensor:
    """Return the elementwise focal loss of targets in [0, 1] under ``sigmoid(scores)``.

    T.-Y. Lin et al. (2017), "Focal loss for dense object detection", ICCV; without the factor α, for which there is
    ``class_weight``. For targets between 0 and 1 it is the weighted mean of the losses for 1 and 0.
    """
    miss, hit = ops.softplus(-scores), ops.softplus(scores)  # −log p and −log(1 − p)
    return targets * ops.exp(-gamma * hit) * miss + (1 - targets) * ops.exp(-gamma * miss) * hit


def focal_softmax(ops: Ops, cross_entropies: Tensor, gamma: float) -> Tensor:
    """Return the focal loss of classes, given their −log p under a softmax."""
    rest = 1 - ops.exp(-cross_entropies)
    rest = ops.maximum(rest, _MIN_COMPLEMENT * ops.ones_like(rest))
    return ops.exp(gamma * ops.log(rest)) * cross_entropies
