"""The input called ``sparse``: a CSR matrix, whose stored values alone reach the engine."""

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


#: Ways of a batch to the first weights, by what ``batches`` says.
_PATHS = {"dense": ("dense",), "stored": ("fused", "stored", "dense")}

#: From so many features products may go entry by entry.
WIDE = 10_000
#: What a step takes on two cores, in nanoseconds for each unit of the first layer: for each place of the batch, for
#: each stored entry of it, for each feature that it meets, and for each feature.
COSTS = {
    "dense": (0.021, 0.0, 0.0, 0.8),
    "stored": (0.0, 2.8, 10.0, 0.0),
    "fused": (0.0, 0.045, 0.8, 0.0),
}

#: The bytes of a batch, for each place and for each stored entry; and what makes no difference.
BYTES = {"dense": (8, 0), "stored": (0, 100), "fused": (0, 50)}
NO_MATTER = 2**28


class SparseInput(Input):
    """Takes a sparse X: its CSR arrays go to the engine, and a batch's entries are gathered there.

    Parameters
    ----------
    batches : {"auto", "dense", "stored"}
        How a batch meets the first weights, where the engine is TensorFlow. ``"dense"``: the rows of the batch are
        made dense, so that a step costs what the features do. ``"stored"``: products go entry by entry, and the solver
        steps in the rows of the weights that the batch meets, while the others wait until they are met or looked at: a
        step costs what is stored. For Adam and AdamW in float32 on a CPU a compiled kernel does so in one pass, and
        another one multiplies the rows of predictions. ``"auto"`` takes what is expected to be faster, ``"stored"``
        from 10,000 features only, and where its batches take no more memory than dense ones, or little. The results
        differ by rounding.
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
        return (type(self), self.paths_)


def _by_cost(X: Any, batch_size: int) -> tuple[str, ...]:
    """Return the paths by what a step is expected to take, for a batch of random rows; those of much memory last."""
    n_rows, n_features = X.shape
    stored = X.nnz / n_rows
    size = {path: float(np.dot(each, (batch_size * n_features, batch_size * stored))) for path, each in BYTES.items()}
    heavy = {path: size[path] > max(size["dense"], NO_MATTER) for path in COSTS}

    def paths(met: float) -> tuple[str, ...]:
        counts = (batch_size * n_features, batch_size * stored, met, n_features)
        return tuple(sorted(COSTS, key=lambda path: (heavy[path], float(np.dot(COSTS[path], counts)))))

    # the features that a batch meets: those of one row at least, other ones for each row at most
    by_bounds = paths(min(stored, n_features)), paths(min(batch_size * stored, n_features))
    if by_bounds[0] == by_bounds[1]:  # whatever lies between, as no two costs meet twice
        return by_bounds[0]
    share = np.minimum(np.bincount(X.indices, minlength=n_features) / n_rows, 1)
    return paths(float(np.sum(1 - (1 - share) ** batch_size)))
