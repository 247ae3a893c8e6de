"""The forward pass after the first product, if a kernel has computed the product of sparse rows and a weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import tensorflow as tf

from ffnn.builders._forward import Outputs, StepInputs
from ffnn.builders._tensorflow.forward import Architecture
from ffnn.ops import Ops, SparseRows, Tensor

__all__ = ["forward_from_product"]


def forward_from_product(
    architecture: Architecture,
    k: int,
    *,
    product: Tensor,
    weights: Sequence[Tensor],
    extras: Sequence[Tensor],
    training: StepInputs | None = None,
    n_stages: int | None = None,
) -> Outputs:
    """Continue the forward pass from the product of a batch with the first weight.

    Parameters
    ----------
    architecture : Architecture
        The network.
    k : int
        The position of the first weight among the trained ones.
    product : tensor of shape (n_rows, n_units)
        The product.
    weights : sequence of tensor
        The other trained weights.
    extras, training, n_stages
        As for :class:`~ffnn.builders._tensorflow.forward.Forward`.
    """
    n_features = architecture.network.n_features
    # placeholders for the sparse rows and the weight; nothing is computed with them
    weight = tf.zeros((n_features, product.shape[1]), product.dtype)
    nothing = tf.zeros(0, product.dtype)
    x = _MultipliedRows(nothing, nothing, nothing, (tf.shape(product)[0], n_features), weight, product)
    return architecture.forward(
        weights=[*weights[:k], weight, *weights[k:]], extras=extras, x=x, training=training, n_stages=n_stages
    )


@dataclass(frozen=True, eq=False)
class _MultipliedRows(SparseRows):
    """Sparse rows that are known only by their product with one weight."""

    weight: Tensor
    product: Tensor

    def matmul(self, ops: Ops, weight: Tensor) -> Tensor:
        return self.product if weight is self.weight else self._refuse()

    def map(self, function: Any) -> SparseRows:
        return self._refuse()

    def dense(self, ops: Ops) -> Tensor:
        return self._refuse()

    def _refuse(self) -> NoReturn:
        raise TypeError(
            "A layer whose weight has by_feature=True must use sparse rows in x.matmul(ops, weight) only. "
            "Set by_feature=False, or input_layer=SparseInput('dense')."
        )
