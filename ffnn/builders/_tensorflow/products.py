"""Sparse rows whose product with the first weights was computed elsewhere, so that TensorFlow begins there."""

from __future__ import annotations

from typing import Any, NoReturn

import tensorflow as tf

from ffnn.ops import Ops, SparseRows

__all__ = ["Products"]

Tensor = Any


class Products(SparseRows):
    """Sparse rows of which the product with one weight is known, and nothing else.

    Parameters
    ----------
    products : tensor of shape (n_rows, n_units)
        The product.
    n_features : int
        The width of the rows.
    """

    #: What stands for the weight where a network expects it; nothing is ever computed with it.
    weight: Tensor

    def __init__(self, products: Tensor, n_features: int) -> None:
        nothing = tf.zeros(0, products.dtype)
        super().__init__(nothing, nothing, nothing, (tf.shape(products)[0], n_features))
        self.__dict__["_products"] = products
        self.__dict__["weight"] = tf.zeros((n_features, products.shape[1]), products.dtype)

    def matmul(self, ops: Ops, weight: Tensor) -> Tensor:
        return self.__dict__["_products"] if weight is self.weight else self._refuse()

    def map(self, function: Any) -> SparseRows:
        return self._refuse()

    def dense(self, ops: Ops) -> Tensor:
        return self._refuse()

    def _refuse(self) -> NoReturn:
        raise TypeError(
            "A layer whose weight has by_feature=True must take sparse rows by x.matmul(ops, weight) alone. "
            "Set by_feature=False, or input_layer=SparseInput('dense')."
        )
