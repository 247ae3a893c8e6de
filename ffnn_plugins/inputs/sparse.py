"""The ``sparse`` input: a CSR matrix, of which only the stored values reach the engine."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Self

import numpy as np
import scipy.sparse

from ffnn._utils.checks import check_choice
from ffnn.input import Input
from ffnn.model import Array, Rows
from ffnn.ops import Ops, SparseRows, Tensor

__all__ = ["SparseInput"]


#: The paths by which a batch may meet the first weights, for each value of ``batches``.
_PATHS = {"dense": ("dense",), "stored": ("fused", "stored", "dense")}

#: The number of features from which ``"auto"`` considers products entry by entry.
WIDE = 10_000
#: Measured cost of a step on two cores, in nanoseconds per unit of the first layer: per element of the batch, per
#: stored entry of it, per feature with a stored entry, and per feature.
COSTS = {
    "dense": (0.021, 0.0, 0.0, 0.8),
    "stored": (0.0, 2.8, 10.0, 0.0),
    "fused": (0.0, 0.045, 0.8, 0.0),
}

#: The bytes of a batch, per element and per stored entry; and the size up to which memory does not matter.
BYTES = {"dense": (8, 0), "stored": (0, 100), "fused": (0, 50)}
SMALL_BATCH = 2**28


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
        check_choice("SparseInput.batches", self.batches, ("auto", *_PATHS), "leave it at 'auto'")
        if self.batches != "auto":
            self.paths_ = _PATHS[self.batches]
        elif scipy.sparse.issparse(X) and X.shape[1] >= WIDE:
            self.paths_ = _by_cost(scipy.sparse.csr_array(X), min(batch_size, X.shape[0]))
        else:
            self.paths_ = ("dense",)
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
        return (type(self), self.paths_)


def _by_cost(X: Any, batch_size: int) -> tuple[str, ...]:
    """Return the paths by the expected time of a step, for a batch of random rows; those that need much memory last."""
    n_rows, n_features = X.shape
    stored = X.nnz / n_rows
    size = {path: float(np.dot(each, (batch_size * n_features, batch_size * stored))) for path, each in BYTES.items()}
    heavy = {path: size[path] > max(size["dense"], SMALL_BATCH) for path in COSTS}

    def paths(met: float) -> tuple[str, ...]:
        counts = (batch_size * n_features, batch_size * stored, met, n_features)
        return tuple(sorted(COSTS, key=lambda path: (heavy[path], float(np.dot(COSTS[path], counts)))))

    # the number of distinct features in a batch lies between those of one row and those of disjoint rows
    by_bounds = paths(min(stored, n_features)), paths(min(batch_size * stored, n_features))
    if by_bounds[0] == by_bounds[1]:  # the costs are linear, so the order is the same in between
        return by_bounds[0]
    share = np.minimum(np.bincount(X.indices, minlength=n_features) / n_rows, 1)
    return paths(float(np.sum(1 - (1 - share) ** batch_size)))
