"""An output with a loss of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from ffnn.ops import Ops, Tensor
from ffnn_plugins.outputs.regression import RegressionOutput


class LogCoshOutput(RegressionOutput):
    """A regression with the loss log cosh(error): quadratic near zero, linear far out, so outliers pull less."""

    @classmethod
    def accepts(cls, y: Any, classes: Any) -> bool:
        """Never chosen by ``output_layer="auto"``, which takes the squared error."""
        return False

    def loss(self, ops: Ops, scores: Tensor, targets: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted sum of the losses, and the weight to divide it by."""
        error = ops.abs(scores - targets)
        # log cosh e = e + log(1 + exp(-2e)) - log 2, which does not overflow
        losses = error + ops.log1p(ops.exp(-2.0 * error)) - float(np.log(2.0))
        return ops.sum(ops.mean(losses, axis=1) * weight), ops.sum(weight)
