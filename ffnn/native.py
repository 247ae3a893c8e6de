"""How layers, inputs and outputs say what they are to an engine that has their operations ready, such as ``native``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["NativeLoss", "NativeOp"]


@dataclass(frozen=True)
class NativeOp:
    """An operation on a batch, one of a fixed set.

    Parameters
    ----------
    kind : str
        ``"affine"``, ``factor * x @ weight + bias_rate * bias``; ``"function"``, an activation; ``"dropout"`` and
        ``"alpha_dropout"``, of which ``factor`` is the rate; ``"noise"``, of which it is the standard deviation;
        ``"scale"``, ``x * (factor * weight)``; ``"prelu"``; ``"layer_norm"``, of which ``factor`` is epsilon.
    function : str
        The name of the activation, as in :class:`ffnn.ops.Ops`.
    weight, bias : str
        The names of its weights among those of the layer; empty where it has none.
    factor, bias_rate : float
        Its numbers.
    """

    kind: Literal["affine", "function", "dropout", "alpha_dropout", "noise", "scale", "prelu", "layer_norm"]
    function: str = ""
    weight: str = ""
    bias: str = ""
    factor: float = 1.0
    bias_rate: float = 1.0


@dataclass(frozen=True)
class NativeLoss:
    """A loss, one of a fixed set, and what its formula takes.

    Parameters
    ----------
    kind : str
        ``"softmax"`` and ``"sigmoid"``, cross entropies; or a loss of regressions.
    gamma : float or None
        Of a focal loss; None is no focal loss.
    smoothing : float
        The share of a class's target that is spread over all classes, where that is not in the targets.
    quantile : float
        Of ``"quantile"``.
    weighted : bool
        Whether the targets of a row are followed by the weights of its entries, as those of multilabel outputs are
        where they are weighted.
    """

    kind: Literal["softmax", "sigmoid", "squared_error", "absolute_error", "huber", "quantile", "poisson"]
    gamma: float | None = None
    smoothing: float = 0.0
    quantile: float = 0.5
    weighted: bool = False
