"""Describes layers, inputs and outputs to an engine with a fixed set of operations, such as ``native``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["NativeLoss", "NativeOp"]


@dataclass(frozen=True)
class NativeOp:
    """An operation on a batch, from a fixed set.

    Parameters
    ----------
    kind : str
        ``"affine"``, ``factor * x @ weight + bias_rate * bias``; ``"function"``, an activation; ``"dropout"`` and
        ``"alpha_dropout"``, where ``factor`` is the rate; ``"noise"``, where it is the standard deviation;
        ``"scale"``, ``x * (factor * weight)``; ``"prelu"``; ``"layer_norm"``, where ``factor`` is epsilon.
    function : str
        The name of the activation, as in :class:`ffnn.ops.Ops`.
    weight, bias : str
        The layer's names of its weights; empty if it has none.
    factor, bias_rate : float
        The numbers in its formula.
    """

    kind: Literal["affine", "function", "dropout", "alpha_dropout", "noise", "scale", "prelu", "layer_norm"]
    function: str = ""
    weight: str = ""
    bias: str = ""
    factor: float = 1.0
    bias_rate: float = 1.0


@dataclass(frozen=True)
class NativeLoss:
    """A loss from a fixed set, and the numbers in its formula.

    Parameters
    ----------
    kind : str
        ``"softmax"`` or ``"sigmoid"``, the cross entropies; or a regression loss.
    gamma : float or None
        The exponent of a focal loss; None for another loss.
    smoothing : float
        The fraction of a class's target that is spread over all classes, unless the targets are smoothed already.
    quantile : float
        The quantile of ``"quantile"``.
    weighted : bool
        Whether the weights of a row's entries follow its targets, as for multilabel outputs with class weights.
    """

    kind: Literal["softmax", "sigmoid", "squared_error", "absolute_error", "huber", "quantile", "poisson"]
    gamma: float | None = None
    smoothing: float = 0.0
    quantile: float = 0.5
    weighted: bool = False
