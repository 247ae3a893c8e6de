"""The ``affine`` layer: a matrix product plus a bias."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ffnn._utils.checks import check_choice, check_integer
from ffnn.initializers import INITIALIZERS
from ffnn.layer import Context, Layer, Traits, Weight
from ffnn.native import NativeOp
from ffnn.ops import Ops, SparseRows, Tensor

__all__ = ["Affine"]


@dataclass(frozen=True)
class Affine(Layer):
    """Computes ``x @ weight + bias``.

    Parameters
    ----------
    units : int or None
        The number of outputs; None means the width of the block.
    initializer : str or None
        The kernel's initializer, a name in :mod:`ffnn.initializers`; None means the one that suits the activation.
    bias_initializer : {"zeros", "glorot_uniform"}, default="zeros"
        The bias's initializer: zero, or uniform between the bounds of Glorot's kernel, as in scikit-learn's networks.
    """

    units: int | None = None
    initializer: str | None = None
    bias_initializer: str = "zeros"

    def bind(self, values: Mapping[str, Any]) -> Layer | None:
        check_choice(
            "Affine.bias_initializer", self.bias_initializer, ("zeros", "glorot_uniform"), "leave it at 'zeros'"
        )
        if self.initializer is not None:
            check_choice("Affine.initializer", self.initializer, INITIALIZERS, "None for the one that suits")
        if self.units is not None:
            check_integer("Affine.units", self.units, "It is the number of outputs; None takes the block's width.")
        return super().bind(values)

    traits = Traits(bfloat16=True, sparse=True)

    def n_outputs(self, n_inputs: int) -> int:
        return self._width

    def weights(self, n_inputs: int) -> dict[str, Weight]:
        return {
            "weight": Weight(
                (n_inputs, self._width), self.initializer or "glorot_uniform", decays=True, by_feature=True, role="coef"
            ),
            # for a vector, Glorot's initializer uses the length as both fan_in and fan_out of the kernel
            "bias": Weight(
                (self._width,),
                self.bias_initializer,
                scale=math.sqrt(2 * self._width / (n_inputs + self._width)),
                role="intercept",
            ),
        }

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        dtype = (x.values if isinstance(x, SparseRows) else x).dtype
        weight = ops.cast(weights["weight"], dtype)
        product = x.matmul(ops, weight) if isinstance(x, SparseRows) else ops.matmul(x, weight)
        return ops.add_bias(product, ops.cast(weights["bias"], dtype))

    def to_native(self, n_inputs: int) -> tuple[NativeOp, ...] | None:
        return (NativeOp("affine", weight="weight", bias="bias"),)

    def to_keras(self, keras: Any, x: Any, name: str, dtype: str) -> Any:
        # zeros: the core draws the weights, so Keras's own draw would be wasted
        return keras.layers.Dense(self._width, kernel_initializer="zeros", name=name, dtype=dtype)(x)

    @property
    def _width(self) -> int:
        if self.units is None:
            raise ValueError("Affine: units is None; expected a positive integer, or a block that gives it its width.")
        return int(self.units)  # arithmetic with an 8-bit NumPy integer would overflow
