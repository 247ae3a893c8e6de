"""A layer with a weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ffnn.layer import Context, Layer, Weight
from ffnn.ops import Ops, Tensor


@dataclass(frozen=True)
class Scale(Layer):
    """Multiplies each unit by a factor of its own, which is learned."""

    def weights(self, n_inputs: int) -> dict[str, Weight]:
        """Return one factor a unit, at first 1."""
        return {"factor": Weight((n_inputs,), "ones")}

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        """Return the scaled batch."""
        return x * weights["factor"]
