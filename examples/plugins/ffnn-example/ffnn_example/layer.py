"""A layer with a weight."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

from ffnn.layer import Layer, Weight
from ffnn.ops import Ops, Tensor


@dataclass(frozen=True)
class Scale(Layer):
    """Multiplies each unit by a factor of its own, which is learned."""

    def weights(self, n_inputs: int) -> dict[str, Weight]:
        """Return one factor a unit, at first 1."""
        return {"factor": Weight((n_inputs,), "ones")}

    def forward(self, ops: Ops, x: Tensor, p: SimpleNamespace, *, training: bool) -> Tensor:
        """Return the scaled batch."""
        return x * p.factor
