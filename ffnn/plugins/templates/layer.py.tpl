"""The layer ``$name``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ffnn.layer import Context, Layer, Weight
from ffnn.native import NativeOp
from ffnn.ops import Ops, Tensor


@dataclass(frozen=True)
class $cls(Layer):
    """Multiplies each unit by a learned factor."""

    def weights(self, n_inputs: int) -> dict[str, Weight]:
        """Return the weights by name: a factor a unit, at first 1."""
        return {"factor": Weight((n_inputs,), "ones")}

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        """Return the layer's output for a batch, on any engine."""
        return x * weights["factor"]

    def to_native(self, n_inputs: int) -> tuple[NativeOp, ...]:
        """Return the same for ``native``; leave it out if its operations do not suffice, and other builders do it."""
        return (NativeOp("scale", weight="factor"),)
