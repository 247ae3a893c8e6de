"""The input called ``sparse``: a CSR matrix, whose stored values alone reach the engine."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Self

import numpy as np
import scipy.sparse

from ffnn.input import Input, Rows, SparseRows
from ffnn.ops import Ops, Tensor
from ffnn.parameters import unknown_name

__all__ = ["SparseInput"]

Array = np.ndarray[Any, np.dtype[Any]]

_BATCHES = ("auto", "dense", "stored")


#: From so many features products may go entry by entry.
WIDE = 10_000
#: What a step takes on two cores, in nanoseconds for each unit of the first layer. Where products go entry by entry:
#: for each stored entry of the batch, and each feature that it meets. Where the rows are made dense: for each place of
#: the batch, and each feature.
ENTRY, MET = 2.8, 10.0
PLACE, FEATURE = 0.021, 0.8


class SparseInput(Input):
    """Takes a sparse X: its CSR arrays go to the engine, and a batch's entries are gathered there.

    Parameters
    ----------
    batches : {"auto", "dense", "stored"}
        How a batch meets the first weights, where the engine is TensorFlow. ``"dense"``: the rows of the batch are
        made dense, so that a step costs what the features do. ``"stored"``: products go entry by entry, and the solver
        steps in the rows of the weights that the batch meets, while the others wait until they are met or looked at: a
        step costs what is stored. ``"auto"`` takes what is expected to be faster, ``"stored"`` from 10,000 features
        only. The results differ by rounding.
    """

    sparse = True

    def __init__(self, batches: str = "auto") -> None:
        self.batches = batches

    @classmethod
    def accepts(cls, X: Any) -> bool:
        return bool(scipy.sparse.issparse(X))

    def fit(self, X: Any, batch_size: int) -> Self:
        if self.batches not in _BATCHES:
            raise unknown_name("SparseInput.batches", self.batches, _BATCHES, "leave it at 'auto'")
        self.stored_ = self.batches == "stored"
        if self.batches == "auto" and scipy.sparse.issparse(X) and X.shape[1] >= WIDE:
            self.stored_ = _stored_is_faster(scipy.sparse.csr_array(X), min(batch_size, X.shape[0]))
        return self

    def prepare(self, X: Any, dtype: str) -> Rows:
        # neither sorted nor without duplicates: what an entry that is stored twice means, every operation makes of it
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
        return (type(self), self.stored_)


def _stored_is_faster(X: Any, batch_size: int) -> bool:
    """Return whether a step is expected to be faster entry by entry, for a batch of random rows."""
    n_rows, n_features = X.shape
    stored = ENTRY * X.nnz / n_rows * batch_size
    dense = (PLACE * batch_size + FEATURE) * n_features
    if stored >= dense:  # which features the entries are of takes a while to count
        return False
    share = np.minimum(np.bincount(X.indices, minlength=n_features) / n_rows, 1)
    met = np.sum(1 - (1 - share) ** batch_size)
    return bool(stored + MET * met < dense)
