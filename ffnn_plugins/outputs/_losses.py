"""The losses of the built-in outputs, one value an entry, and the parameters by which a user chooses one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ffnn._utils.checks import check_number, unknown_name
from ffnn._utils.keys import parameters_key
from ffnn.model import Array
from ffnn.ops import Ops, Tensor

if TYPE_CHECKING:
    from ffnn.layer import Layer

__all__ = [
    "CLASSIFICATION_LOSSES",
    "HIGHEST_LOG",
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

#: A score beyond which exp(score) is continued by its tangent, so that neither loss nor gradient overflows in float32.
HIGHEST_LOG = 60.0
#: The least 1 − p of which a power is taken: below it float32 has only 0, whose power has no gradient.
_LEAST_REST = 1e-7


class ChosenLoss:
    """What an output has whose parameter ``loss`` names its loss, while its method ``loss`` computes it."""

    _loss: Any
    n_outputs_: int

    def structure(self) -> Hashable:
        """Return what a traced program depends on."""
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
        """Return what a program depends on where the parameters ``names`` reach it through the targets alone.

        The layers of the head are stages of the network, which say so themselves.
        """
        key: Any = parameters_key(self)
        kept = (entry for entry in key[1:] if entry[0] not in (*names, "head"))
        return (key[0], *kept, self.n_outputs_)


class ClassificationLoss(ChosenLoss):
    """The parameters of the losses for classes, which stand before an output's other bases."""

    # for a subclass whose own __init__ sets none of them
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
        """Refuse a loss that is unknown, or a parameter of one that is out of range; called by ``fit``.

        Raises
        ------
        TypeError, ValueError
            That name the parameter.
        """
        name = type(self).__name__
        if self._loss not in CLASSIFICATION_LOSSES:
            raise unknown_name(f"{name}.loss", self._loss, CLASSIFICATION_LOSSES, "leave it at 'log_loss'")
        check_number(f"{name}.gamma", self.gamma, "It is how much less a focal loss makes of easy samples; 2 is usual.")
        remedy = "It is the share of each target that is spread over the classes: 0.1 is usual, 0 is none."
        if check_number(f"{name}.label_smoothing", self.label_smoothing, remedy) >= 1:
            raise ValueError(f"{name}.label_smoothing={self.label_smoothing!r}: expected a number in [0, 1). {remedy}")

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
    """Refuse a regression loss that is unknown, or a parameter of one that is out of range.

    Raises
    ------
    TypeError, ValueError
        That name the parameter of the output called ``name``.
    """
    if loss not in REGRESSION_LOSSES:
        raise unknown_name(f"{name}.loss", loss, REGRESSION_LOSSES, "leave it at 'squared_error'")
    remedy = "It is the error, in the unit of y, beyond which Huber's loss is linear."
    check_number(f"{name}.delta", delta, remedy, positive=True)
    remedy = "It is the share of the targets that should lie below a prediction; 0.5 is the median."
    if check_number(f"{name}.quantile", quantile, remedy, positive=True) >= 1:
        raise ValueError(f"{name}.quantile={quantile!r}: expected a number in (0, 1). {remedy}")


# -- regression: of differences between scores and targets -----------------------------------------------------------


def squared_error(ops: Ops, scores: Tensor, targets: Tensor) -> Tensor:
    """Return half the squared differences."""
    return ops.square(scores - targets) * 0.5


def absolute_error(ops: Ops, scores: Tensor, targets: Tensor) -> Tensor:
    """Return the absolute differences."""
    return ops.abs(scores - targets)


def huber(ops: Ops, scores: Tensor, targets: Tensor, delta: Tensor) -> Tensor:
    """Return half the squared differences up to ``delta``, and beyond it the tangent there.

    P. J. Huber (1964), "Robust estimation of a location parameter", Annals of Mathematical Statistics 35.
    """
    error = ops.abs(scores - targets)
    inner = ops.minimum(error, delta)
    return inner * (error - 0.5 * inner)


def pinball(ops: Ops, scores: Tensor, targets: Tensor, quantile: float) -> Tensor:
    """Return ``quantile`` times what scores are too low by, or ``1 - quantile`` times what they are too high by.

    R. Koenker and G. Bassett (1978), "Regression quantiles", Econometrica 46.
    """
    error = targets - scores
    # not the larger of two products: engines differ in the gradient where both are 0
    return 0.5 * ops.abs(error) + (quantile - 0.5) * error


def poisson(ops: Ops, scores: Tensor, targets: Tensor) -> Tensor:
    """Return half the Poisson deviance of targets of at least 0 from ``exp(scores)``."""
    inner = ops.minimum(scores, HIGHEST_LOG * ops.ones_like(scores))
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
    """Return the focal loss of targets in [0, 1] under ``sigmoid(scores)``, entry by entry.

    T.-Y. Lin et al. (2017), "Focal loss for dense object detection", ICCV; without the factor α, which
    ``class_weight`` is for. Of a target between 0 and 1 it is the mean of the losses of 1 and of 0.
    """
    miss, hit = ops.softplus(-scores), ops.softplus(scores)  # −log p and −log(1 − p)
    return targets * ops.exp(-gamma * hit) * miss + (1 - targets) * ops.exp(-gamma * miss) * hit


def focal_softmax(ops: Ops, cross_entropies: Tensor, gamma: float) -> Tensor:
    """Return the focal loss of classes whose −log p under a softmax is given."""
    rest = 1 - ops.exp(-cross_entropies)
    rest = ops.maximum(rest, _LEAST_REST * ops.ones_like(rest))
    return ops.exp(gamma * ops.log(rest)) * cross_entropies
