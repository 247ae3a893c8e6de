"""The array operations that a builder supplies, and their implementation in NumPy.

Layers, inputs and outputs use these functions, named as in NumPy and ``keras.ops``, and Python's arithmetic and
comparison operators on tensors. Each builder implements them for its engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import scipy.sparse
import scipy.special

__all__ = ["NumpyOps", "Ops", "SparseRows", "Tensor"]

Tensor = Any
"""An engine's array."""


class Ops(Protocol):
    """Array operations of one engine."""

    # elementwise
    def abs(self, x: Tensor) -> Tensor: ...
    def exp(self, x: Tensor) -> Tensor: ...
    def log(self, x: Tensor) -> Tensor: ...
    def log1p(self, x: Tensor) -> Tensor: ...
    def sqrt(self, x: Tensor) -> Tensor: ...
    def square(self, x: Tensor) -> Tensor: ...
    def sign(self, x: Tensor) -> Tensor: ...
    def sin(self, x: Tensor) -> Tensor: ...
    def cos(self, x: Tensor) -> Tensor: ...
    def maximum(self, x: Tensor, y: Tensor) -> Tensor: ...
    def minimum(self, x: Tensor, y: Tensor) -> Tensor: ...
    def where(self, condition: Tensor, x: Tensor, y: Tensor) -> Tensor: ...
    def cast(self, x: Tensor, dtype: str) -> Tensor: ...
    def zeros_like(self, x: Tensor) -> Tensor: ...
    def ones_like(self, x: Tensor) -> Tensor: ...

    # activations
    def relu(self, x: Tensor) -> Tensor: ...
    def leaky_relu(self, x: Tensor) -> Tensor: ...
    def elu(self, x: Tensor) -> Tensor: ...
    def selu(self, x: Tensor) -> Tensor: ...
    def gelu(self, x: Tensor) -> Tensor: ...
    def silu(self, x: Tensor) -> Tensor: ...
    def sigmoid(self, x: Tensor) -> Tensor: ...
    def softplus(self, x: Tensor) -> Tensor: ...
    def tanh(self, x: Tensor) -> Tensor: ...

    # reductions and products; ``axis=None`` reduces all axes
    def sum(self, x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor: ...
    def mean(self, x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor: ...
    def matmul(self, x: Tensor, y: Tensor) -> Tensor: ...
    def add_bias(self, x: Tensor, bias: Tensor) -> Tensor:
        """Return ``x`` of shape (n, k) with the vector ``bias`` of shape (k,) added to each row."""
        ...

    def log_softmax(self, x: Tensor) -> Tensor: ...
    def argmax(self, x: Tensor) -> Tensor:
        """Return the index of the largest entry along the last axis, the first of equal ones."""
        ...

    # elementwise losses
    def sigmoid_cross_entropy(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return -log p(target) of targets in [0, 1] under ``sigmoid(scores)``, of the same shape."""
        ...

    def softmax_cross_entropy(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return -log p(target) of integer targets of shape (n,) under ``softmax(scores)`` of shape (n, k)."""
        ...

    # shapes and indices
    def shape(self, x: Tensor) -> Sequence[Any]: ...
    def reshape(self, x: Tensor, shape: Sequence[Any]) -> Tensor: ...
    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor: ...
    def concatenate(self, xs: Sequence[Tensor], axis: int = 0) -> Tensor: ...
    def arange(self, n: Any, dtype: str) -> Tensor: ...
    def take(self, x: Tensor, indices: Tensor) -> Tensor:
        """Return the entries of ``x`` at the integers ``indices`` along its first axis."""
        ...

    def one_hot(self, x: Tensor, n: int, dtype: str) -> Tensor: ...

    # sparse rows: row i has the entries from splits[i] to splits[i + 1] of columns and values; duplicates are summed
    def take_rows(self, splits: Tensor, columns: Tensor, values: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the splits, columns and values of the rows at the integers ``rows``."""
        ...

    def scatter(self, splits: Tensor, columns: Tensor, values: Tensor, shape: Sequence[Any]) -> Tensor:
        """Return sparse rows as a dense matrix."""
        ...

    def sparse_matmul(self, splits: Tensor, columns: Tensor, values: Tensor, y: Tensor) -> Tensor:
        """Return the product of sparse rows and a dense matrix; no row's result depends on the other rows."""
        ...

    # randomness
    def uniform(self, shape: Sequence[Any], seed: Tensor, dtype: str) -> Tensor:
        """Return uniform draws in [0, 1), a pure function of ``seed``, two integers."""
        ...


@dataclass(frozen=True)
class SparseRows:
    """A batch of sparse rows.

    Parameters
    ----------
    splits : integer tensor of shape (n_rows + 1,)
        The position of each row's first entry among the stored ones, and the number of stored entries.
    columns : integer tensor of shape (n_stored,)
        The column of each stored entry.
    values : tensor of shape (n_stored,)
        The value of each stored entry.
    shape : sequence of int or scalar tensor
        The shape of the matrix.
    """

    splits: Tensor
    columns: Tensor
    values: Tensor
    shape: Sequence[Any]

    def map(self, function: Callable[[Tensor], Tensor]) -> SparseRows:
        """Return the batch with ``function`` applied to its stored values."""
        return replace(self, values=function(self.values))

    def dense(self, ops: Ops) -> Tensor:
        """Return the batch as a dense tensor."""
        return ops.scatter(self.splits, self.columns, self.values, self.shape)

    def matmul(self, ops: Ops, weight: Tensor) -> Tensor:
        """Return the product with a matrix of shape (n_columns, n), at a cost proportional to the stored entries."""
        return ops.sparse_matmul(self.splits, self.columns, self.values, weight)


class NumpyOps:
    """The operations in NumPy, for batches gathered on the host and for the tests of layers, inputs and outputs."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def cast(self, x: Any, dtype: str) -> Any:
        return np.asarray(x).astype(dtype, copy=False)

    def relu(self, x: Any) -> Any:
        return np.maximum(x, 0)

    def leaky_relu(self, x: Any) -> Any:
        return np.where(x > 0, x, 0.2 * x)

    def elu(self, x: Any) -> Any:
        return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))

    def selu(self, x: Any) -> Any:
        return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))

    def gelu(self, x: Any) -> Any:
        return x * scipy.special.ndtr(x)

    def silu(self, x: Any) -> Any:
        return x * scipy.special.expit(x)

    def sigmoid(self, x: Any) -> Any:
        return scipy.special.expit(x)

    def softplus(self, x: Any) -> Any:
        return np.logaddexp(0, x)

    def argmax(self, x: Any) -> Any:
        return np.argmax(x, axis=-1)

    def add_bias(self, x: Any, bias: Any) -> Any:
        return x + bias

    def log_softmax(self, x: Any) -> Any:
        return scipy.special.log_softmax(x, axis=-1)

    def sigmoid_cross_entropy(self, scores: Any, targets: Any) -> Any:
        return np.logaddexp(0, scores) - scores * targets

    def softmax_cross_entropy(self, scores: Any, targets: Any) -> Any:
        return -np.take_along_axis(self.log_softmax(scores), targets[:, None], axis=1)[:, 0]

    def one_hot(self, x: Any, n: int, dtype: str) -> Any:
        return np.eye(n, dtype=dtype)[x]

    def take(self, x: Any, indices: Any) -> Any:
        return np.take(x, indices, axis=0)

    def take_rows(self, splits: Any, columns: Any, values: Any, rows: Any) -> Any:
        some = _csr(splits, columns, values)[np.asarray(rows)]
        return some.indptr, some.indices, some.data

    def scatter(self, splits: Any, columns: Any, values: Any, shape: Sequence[Any]) -> Any:
        return _csr(splits, columns, values, shape[1]).toarray()

    def sparse_matmul(self, splits: Any, columns: Any, values: Any, y: Any) -> Any:
        return _csr(splits, columns, values, len(y)) @ y

    def uniform(self, shape: Sequence[Any], seed: Any, dtype: str) -> Any:
        return np.random.default_rng([int(s) for s in seed]).random(tuple(shape), dtype=np.dtype(dtype).type)


def _csr(splits: Any, columns: Any, values: Any, n_columns: int = 2**31 - 1) -> Any:
    return scipy.sparse.csr_array((values, columns, splits), (len(splits) - 1, n_columns))
