"""The ``dense`` input: a NumPy array, moved to the engine unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from ffnn.input import Input
from ffnn.model import Rows
from ffnn.ops import Ops, Tensor

__all__ = ["DenseInput"]


class DenseInput(Input):
    """Takes a dense X."""

    @classmethod
    def accepts(cls, X: Any) -> bool:
        return not scipy.sparse.issparse(X)

    def prepare(self, X: Any, dtype: str) -> Rows:
        if scipy.sparse.issparse(X):
            X = X.toarray()
        X = np.asarray(X, dtype=dtype)
        return Rows((X,), X.shape[0])

    def whole(self, ops: Ops, arrays: Sequence[Tensor], n_rows: Tensor, n_features: int) -> Tensor:
        return arrays[0]

    def gather(self, ops: Ops, arrays: Sequence[Tensor], rows: Tensor, n_features: int) -> Tensor:
        return ops.take(arrays[0], rows)
