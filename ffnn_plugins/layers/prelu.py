"""The ``prelu`` layer: a rectifier with a learned negative slope for each feature.

K. He et al. (2015), "Delving deep into rectifiers: surpassing human-level performance on ImageNet classification",
ICCV.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ffnn.layer import Context, Layer, Traits, Weight
from ffnn.native import NativeOp
from ffnn.ops import Ops, Tensor

__all__ = ["PReLU"]


@dataclass(frozen=True)
class PReLU(Layer):
    """Passes positive values and multiplies negative ones by a learned slope, one for each feature.

    The slopes start at 0.25 and are not decayed, as in the paper. Use it instead of ``"activation"`` in a block.
    """

    traits = Traits(bfloat16=True)

    def weights(self, n_inputs: int) -> dict[str, Weight]:
        return {"alpha": Weight((n_inputs,), "ones", scale=0.25)}

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        return ops.relu(x) - ops.cast(weights["alpha"], x.dtype) * ops.relu(-x)

    def to_native(self, n_inputs: int) -> tuple[NativeOp, ...] | None:
        return (NativeOp("prelu", weight="alpha"),)

    def to_keras(self, keras: Any, x: Any, name: str, dtype: str) -> Any:
        return keras.layers.PReLU(name=name, dtype=dtype)(x)
