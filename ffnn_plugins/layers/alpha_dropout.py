"""The ``alpha_dropout`` layer: dropout that keeps the mean and variance of self-normalizing networks.

G. Klambauer et al. (2017), "Self-normalizing neural networks", NeurIPS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ffnn._utils.checks import check_rate
from ffnn.layer import Context, Layer, Traits
from ffnn.native import NativeOp
from ffnn.ops import Ops, Tensor

__all__ = ["AlphaDropout"]

# SELU's limit at minus infinity: -scale * alpha
_SATURATION = -1.7580993408473766


@dataclass(frozen=True)
class AlphaDropout(Layer):
    """Sets a fraction of the values to SELU's saturation value and restores mean and variance by an affine map.

    With ``activation="selu"`` it replaces ``"dropout"``.

    Parameters
    ----------
    rate : float or None
        The fraction dropped, in [0, 1); None means the estimator's ``dropout``. With a rate of 0 the layer is left out.
    """

    rate: float | None = None

    traits = Traits(scalars=("rate",), random=True, bfloat16=True)

    def bind(self, values: Mapping[str, Any]) -> Layer | None:
        bound = super().bind(values)
        return bound if isinstance(bound, AlphaDropout) and check_rate("dropout", bound.rate) else None

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        if not context.training:
            return x
        rate = context.scalars["rate"]
        keep = ops.uniform(ops.shape(x), context.seed, rate.dtype) >= rate
        scale = 1 / ops.sqrt((1 - rate) * (1 + rate * _SATURATION**2))
        shift = -scale * _SATURATION * rate
        kept = ops.where(keep, x, _SATURATION * ops.ones_like(x))
        return ops.cast(scale, x.dtype) * kept + ops.cast(shift, x.dtype)

    def to_native(self, n_inputs: int) -> tuple[NativeOp, ...] | None:
        return (NativeOp("alpha_dropout", factor=self.scalars()[0]),)

    def to_keras(self, keras: Any, x: Any, name: str, dtype: str) -> Any:
        return keras.layers.AlphaDropout(self.rate, name=name, dtype=dtype)(x)
