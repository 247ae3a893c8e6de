"""An input that transforms X on its way in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ffnn.layer import Context
from ffnn.ops import Ops, Tensor
from ffnn_plugins.inputs.dense import DenseInput


class SignedLogInput(DenseInput):
    """Takes a dense X and passes on sign(x) · log(1 + |x|), which tames features with long tails."""

    @classmethod
    def accepts(cls, X: Any) -> bool:
        """Never chosen by ``input_layer="auto"``: it changes what X means."""
        return False

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        """Return the signed logarithm of the batch."""
        return ops.sign(x) * ops.log1p(ops.abs(x))
