"""The ``dropout`` layer: sets a fraction of the values to zero in training and scales up the others.

N. Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ffnn._utils.checks import check_rate
from ffnn.layer import Context, Layer, Traits
from ffnn.native import NativeOp
from ffnn.ops import Ops, SparseRows, Tensor
from ffnn_plugins.layers.alpha_dropout import AlphaDropout

__all__ = ["Dropout"]


@dataclass(frozen=True)
class Dropout(Layer):
    """Sets a fraction of the values to zero in training and scales the others to preserve the mean.

    On sparse rows the mask is drawn over the stored values alone, in CSR order: the zeros stay zero either way.

    Parameters
    ----------
    rate : float or None
        The fraction dropped, in [0, 1); None means the estimator's ``dropout``. With a rate of 0 the layer is left
        out; with ``activation="selu"``, alpha dropout replaces it.
    """

    rate: float | None = None

    traits = Traits(scalars=("rate",), random=True, sparse=True, bfloat16=True)

    def bind(self, values: Mapping[str, Any]) -> Layer | None:
        if values.get("activation") == "selu":
            return AlphaDropout(self.rate).bind(values)
        bound = super().bind(values)
        return bound if isinstance(bound, Dropout) and check_rate("dropout", bound.rate) else None

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        if not context.training:
            return x
        rate = context.scalars["rate"]

        def drop(values: Tensor) -> Tensor:
            keep = ops.uniform(ops.shape(values), context.seed, rate.dtype) >= rate
            return ops.where(keep, values * ops.cast(1 / (1 - rate), values.dtype), ops.zeros_like(values))

        return x.map(drop) if isinstance(x, SparseRows) else drop(x)

    def to_native(self, n_inputs: int) -> tuple[NativeOp, ...] | None:
        return (NativeOp("dropout", factor=self.scalars()[0]),)

    def to_keras(self, keras: Any, x: Any, name: str, dtype: str) -> Any:
        return keras.layers.Dropout(self.rate, name=name, dtype=dtype)(x)
