"""The input ``$name``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse
from ffnn.input import Input
from ffnn.layer import Context
from ffnn.model import Rows
from ffnn.ops import Ops, Tensor


class $cls(Input):
    """Takes a dense X and passes on sign(x) · log(1 + |x|), which tames features with long tails."""

    @classmethod
    def accepts(cls, X: Any) -> bool:
        """Return False: ``input_layer="auto"`` never chooses it, since it changes what X means."""
        return False

    def prepare(self, X: Any, dtype: str) -> Rows:
        """Return the arrays that `gather` reads, once for a data set."""
        if scipy.sparse.issparse(X):
            raise TypeError("input_layer='$name': X is sparse; expected a dense array. Use X.toarray().")
        X = np.asarray(X, dtype=dtype)
        return Rows((X,), X.shape[0])

    def gather(self, ops: Ops, arrays: Sequence[Tensor], rows: Tensor, n_features: int) -> Tensor:
        """Return a batch of the prepared arrays, on any engine."""
        return ops.take(arrays[0], rows)

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        """Return what the first layer gets for a batch."""
        return ops.sign(x) * ops.log1p(ops.abs(x))
