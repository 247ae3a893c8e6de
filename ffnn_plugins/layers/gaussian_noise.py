"""The ``gaussian_noise`` layer: adds normal noise in training.

C. M. Bishop (1995), "Training with noise is equivalent to Tikhonov regularization", Neural Computation 7.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ffnn._utils.checks import check_number
from ffnn.layer import Context, Layer, Traits
from ffnn.native import NativeOp
from ffnn.ops import Ops, Tensor

__all__ = ["GaussianNoise"]


@dataclass(frozen=True)
class GaussianNoise(Layer):
    """Adds independent normal noise of mean 0 to every value in training, and none in prediction.

    Parameters
    ----------
    stddev : float, default=0.1
        The standard deviation, in the unit of the layer's input. With 0 the layer is left out.
    """

    stddev: float = 0.1

    traits = Traits(scalars=("stddev",), random=True, bfloat16=True)

    def bind(self, values: Mapping[str, Any]) -> Layer | None:
        remedy = "It is the standard deviation of the noise, in the unit of the layer's input."
        return self if check_number("GaussianNoise.stddev", self.stddev, remedy) else None

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        if not context.training:
            return x
        stddev = context.scalars["stddev"]
        # the Box-Muller transform (1958): a normal draw from two uniform ones
        shape = ops.shape(x)
        draws = ops.uniform((2, shape[0], shape[1]), context.seed, stddev.dtype)
        radius = ops.sqrt(-2 * ops.log(1 - draws[0]))
        return x + ops.cast(stddev * radius * ops.cos(2 * math.pi * draws[1]), x.dtype)

    def to_native(self, n_inputs: int) -> tuple[NativeOp, ...] | None:
        return (NativeOp("noise", factor=self.scalars()[0]),)

    def to_keras(self, keras: Any, x: Any, name: str, dtype: str) -> Any:
        return keras.layers.GaussianNoise(self.stddev, name=name, dtype=dtype)(x)
