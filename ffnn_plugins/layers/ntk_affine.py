"""The ``ntk_affine`` layer: an affine map whose learning rates do not depend on the width.

A. Jacot, F. Gabriel and C. Hongler (2018), "Neural tangent kernel: convergence and generalization in neural networks",
NeurIPS; with the bias of D. Holzmüller, L. Grinsztajn and I. Steinwart (2024), "Better by default: strong pre-tuned
MLPs and boosted trees on tabular data", NeurIPS, arXiv 2407.04491.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ffnn._utils.checks import check_flag, check_integer, check_number
from ffnn.layer import Context, Layer, Weight
from ffnn.native import NativeOp
from ffnn.ops import Ops, Tensor

__all__ = ["NTKAffine"]


@dataclass(frozen=True)
class NTKAffine(Layer):
    """Computes ``x @ weight / sqrt(n_inputs) + bias_rate * bias``, which initially has variance 1.

    The initial weights are standard normal at any width, so one learning rate suits all widths; with Adam it is about
    ``sqrt(n_inputs)`` times that of ``affine``. Use it instead of ``"affine"`` in a block or a head. Its weights are
    not in ``coefs_``.

    Parameters
    ----------
    units : int or None
        The number of outputs; None means the width of the block.
    zero : bool, default=False
        Whether all weights are initially zero: for a head, which then predicts the same for every sample at first.
    bias_rate : float, default=0.1
        The bias's learning rate relative to the weights', with a solver that does not depend on the gradient's scale
        (Adam, RMSprop). Its initial values are standard normal in any case.
    """

    units: int | None = None
    zero: bool = False
    bias_rate: float = 0.1

    def bind(self, values: Mapping[str, Any]) -> Layer | None:
        check_flag("NTKAffine.zero", self.zero)
        remedy = "It is the bias's learning rate relative to the weights'; 0.1 is usual."
        check_number("NTKAffine.bias_rate", self.bias_rate, remedy, positive=True)
        if self.units is not None:
            check_integer("NTKAffine.units", self.units, "It is the number of outputs; None takes the block's width.")
        return super().bind(values)

    def n_outputs(self, n_inputs: int) -> int:
        return self._width

    def weights(self, n_inputs: int) -> dict[str, Weight]:
        drawn = "zeros" if self.zero else "standard_normal"
        return {
            "weight": Weight((n_inputs, self._width), drawn, decays=True),
            "bias": Weight((self._width,), drawn, scale=1 / self.bias_rate),
        }

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        n_inputs = weights["weight"].shape[0]
        return ops.matmul(x, weights["weight"]) * (1 / math.sqrt(n_inputs)) + self.bias_rate * weights["bias"]

    def to_native(self, n_inputs: int) -> tuple[NativeOp, ...] | None:
        factor = 1 / math.sqrt(n_inputs)
        return (NativeOp("affine", weight="weight", bias="bias", factor=factor, bias_rate=self.bias_rate),)

    @property
    def _width(self) -> int:
        if self.units is None:
            raise ValueError(
                "NTKAffine: units is None; expected a positive integer, or a block that gives it its width."
            )
        return int(self.units)
