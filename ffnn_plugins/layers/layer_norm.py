"""The ``layer_norm`` layer: standardises each row over its features.

J. L. Ba, J. R. Kiros and G. E. Hinton (2016), "Layer normalization", arXiv 1607.06450.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ffnn._utils.checks import check_number
from ffnn.layer import Context, Layer, Traits, Weight
from ffnn.native import NativeOp
from ffnn.ops import Ops, Tensor

__all__ = ["LayerNorm"]


@dataclass(frozen=True)
class LayerNorm(Layer):
    """Standardises each row over its features, then applies a learned scale and shift to each feature.

    A row's result depends on no other row, in training or prediction, so it suits every solver and batch size.

    Parameters
    ----------
    epsilon : float, default=1e-3
        Added to the variance.
    """

    epsilon: float = 1e-3

    traits = Traits(bfloat16=True)

    def bind(self, values: Mapping[str, Any]) -> Layer | None:
        remedy = "It prevents a division by zero; 1e-3 is usual."
        check_number("LayerNorm.epsilon", self.epsilon, remedy, positive=True)
        return self

    def weights(self, n_inputs: int) -> dict[str, Weight]:
        return {"gamma": Weight((n_inputs,), "ones"), "beta": Weight((n_inputs,), "zeros")}

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        dtype, x = x.dtype, ops.cast(x, weights["gamma"].dtype)  # sums need more precision than bfloat16
        centred = x - ops.mean(x, axis=1, keepdims=True)
        variance = ops.mean(ops.square(centred), axis=1, keepdims=True)
        return ops.cast(centred / ops.sqrt(variance + self.epsilon) * weights["gamma"] + weights["beta"], dtype)

    def to_native(self, n_inputs: int) -> tuple[NativeOp, ...] | None:
        return (NativeOp("layer_norm", weight="gamma", bias="beta", factor=self.epsilon),)

    def to_keras(self, keras: Any, x: Any, name: str, dtype: str) -> Any:
        return keras.layers.LayerNormalization(epsilon=self.epsilon, name=name, dtype=dtype)(x)
