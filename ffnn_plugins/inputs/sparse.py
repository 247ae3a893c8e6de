"""The input called ``sparse``: a CSR matrix, whose stored values alone reach the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse

from ffnn.input import Input, Rows, SparseRows
from ffnn.ops import Ops, Tensor

__all__ = ["SparseInput"]


class SparseInput(Input):
    """Takes a sparse X: its CSR arrays go to the engine, and a batch's entries are gathered there."""

    sparse = True

    @classmethod
    def accepts(cls, X: Any) -> bool:
        return bool(scipy.sparse.issparse(X))

    def prepare(self, X: Any, dtype: str) -> Rows:
        X = scipy.sparse.csr_array(X)
        if not X.has_canonical_format:  # an entry stored twice means the sum of the two
            X = X.copy()
            X.sum_duplicates()
        # 32 bits wherever they suffice: half the bytes, and the engines' fast paths
        index = np.int32 if max(X.nnz, *X.shape) < 2**31 else np.int64
        arrays = (
            np.asarray(X.indptr, dtype=index),
            np.asarray(X.indices, dtype=index),
            np.asarray(X.data, dtype=dtype),
        )
        return Rows(arrays, X.shape[0])

    def gather(self, ops: Ops, arrays: Sequence[Tensor], rows: Tensor, n_features: int) -> SparseRows:
        splits, columns, values = arrays
        return SparseRows(*ops.take_rows(splits, columns, values, rows), (ops.shape(rows)[0], n_features))
