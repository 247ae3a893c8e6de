"""The ``scaled`` input: multiplies each feature by a learned factor.

D. Holzmüller, L. Grinsztajn and I. Steinwart (2024), "Better by default: strong pre-tuned MLPs and boosted trees on
tabular data", NeurIPS, arXiv 2407.04491: the scaling layer, a soft selection of features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import scipy.sparse
from sklearn.utils import Tags

from ffnn._utils.checks import check_number
from ffnn.layer import Context, Weight
from ffnn.model import Rows
from ffnn.native import NativeOp
from ffnn.ops import Ops, Tensor
from ffnn_plugins.inputs.dense import DenseInput

__all__ = ["ScaledInput"]


class ScaledInput(DenseInput):
    """Takes a dense X and multiplies each feature by a learned factor, initially 1.

    Parameters
    ----------
    rate : float, default=6.0
        The factors' learning rate relative to the network's, with a solver that does not depend on the gradient's
        scale (Adam, RMSprop).
    """

    def __init__(self, rate: float = 6.0) -> None:
        self.rate = rate

    def prepare(self, X: Any, dtype: str) -> Rows:
        if scipy.sparse.issparse(X):
            raise TypeError(
                "input_layer='scaled': X is sparse; expected a dense array. Use X.toarray(), or input_layer='sparse'."
            )
        return super().prepare(X, dtype)

    def adjust_tags(self, tags: Tags) -> None:
        tags.input_tags.sparse = False

    def weights(self, n_features: int) -> dict[str, Weight]:
        remedy = "It is the factors' learning rate relative to the weights'; 6 is usual."
        check_number("ScaledInput.rate", self.rate, remedy, positive=True)
        return {"factor": Weight((n_features,), "ones", scale=1 / self.rate)}

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        # a step of the stored factor changes the effective factor by `rate` times as much
        return x * (self.rate * weights["factor"])

    def to_native(self, n_inputs: int) -> tuple[NativeOp, ...] | None:
        return (NativeOp("scale", weight="factor", factor=self.rate),)
