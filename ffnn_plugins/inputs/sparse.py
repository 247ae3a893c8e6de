"""The ``sparse`` input: a CSR matrix, of which only the stored values reach the engine."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Self

import numpy as np
import scipy.sparse

from ffnn._utils.checks import check_choice
from ffnn.input import Input, SparseStatistics
from ffnn.model import Array, Rows
from ffnn.ops import Ops, SparseRows, Tensor

__all__ = ["SparseInput"]


#: Column indices counted at a time.
_CHUNK = 2**20


class SparseInput(Input):
    """Takes a sparse X: moves its CSR arrays to the engine, which gathers the entries of each batch.

    Parameters
    ----------
    batches : {"auto", "dense", "stored"}
        How a batch is multiplied with the first weights, where the engine is TensorFlow. ``"dense"``: batches are
        converted to dense, so the cost of a step grows with the number of features. ``"stored"``: products go entry by
        entry, and the solver updates the weight rows of the batch's features only, while the others are brought up to
        date when they are needed: the cost grows with the stored entries. For Adam and AdamW in float32 on a CPU a
        compiled kernel does this in one pass, and another one computes predictions. ``"auto"`` takes what is expected
        to be faster; ``"stored"`` only from 10,000 features, and where its batches take little memory or no more than
        dense ones. The results differ by rounding.
    """

    sparse = True

    def __init__(self, batches: str = "auto") -> None:
        self.batches = batches

    @classmethod
    def accepts(cls, X: Any) -> bool:
        return bool(scipy.sparse.issparse(X))

    def fit(self, X: Any, batch_size: int) -> Self:
        check_choice("SparseInput.batches", self.batches, ("auto", "dense", "stored"), "leave it at 'auto'")
        self.statistics_ = None
        if self.batches == "auto" and scipy.sparse.issparse(X):
            self.statistics_ = _statistics(scipy.sparse.csr_array(X), min(batch_size, X.shape[0]))
        return self

    def prepare(self, X: Any, dtype: str) -> Rows:
        # need not be sorted or free of duplicates: every operation sums duplicate entries
        X = scipy.sparse.csr_array(X)
        # 32 bits wherever they suffice: half the bytes, and the engines' fast paths
        index = np.int32 if max(X.nnz, *X.shape) < 2**31 else np.int64
        arrays = (
            np.asarray(X.indptr, dtype=index),
            np.asarray(X.indices, dtype=index),
            np.asarray(X.data, dtype=dtype),
        )
        return Rows(arrays, X.shape[0])

    def take(self, arrays: Sequence[Array], rows: slice | Array) -> tuple[Array, ...]:
        splits, columns, values = arrays
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(splits) - 1)
            first, last = splits[start], splits[stop]
            return splits[start : stop + 1] - first, columns[first:last], values[first:last]
        some = scipy.sparse.csr_array((values, columns, splits), (len(splits) - 1, np.iinfo(np.int32).max))[rows]
        return some.indptr, some.indices, some.data

    def gather(self, ops: Ops, arrays: Sequence[Tensor], rows: Tensor, n_features: int) -> SparseRows:
        splits, columns, values = arrays
        return SparseRows(*ops.take_rows(splits, columns, values, rows), (ops.shape(rows)[0], n_features))

    def whole(self, ops: Ops, arrays: Sequence[Tensor], n_rows: Tensor, n_features: int) -> SparseRows:
        splits, columns, values = arrays
        return SparseRows(splits, columns, values, (n_rows, n_features))

    def structure(self) -> Hashable:
        return type(self)  # the path of a batch is part of the builder's key


def _statistics(X: Any, batch_size: int) -> SparseStatistics:
    n_rows, n_features = X.shape
    counts = np.zeros(n_features, np.int64)
    size = max(_CHUNK, n_features)  # bincount copies the indices it is given
    for start in range(0, X.nnz, size):
        counts += np.bincount(X.indices[start : start + size], minlength=n_features)
    share = np.minimum(counts / n_rows, 1)
    return SparseStatistics(batch_size, X.nnz / n_rows, float(np.sum(1 - (1 - share) ** batch_size)))
