"""The array operations of :class:`ffnn.ops.Ops`, by ``keras.ops``, on any of Keras's backends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from ffnn.ops import Tensor

__all__ = ["KerasOps", "backend_ops"]


class _Seed(keras.random.SeedGenerator):
    """A given seed as a generator: Keras's random functions take integers or generators, but no tensors."""

    def __init__(self, value: Tensor) -> None:
        self._value = value  # without a variable for the state

    def next(self, ordered: bool = True) -> Tensor:
        return self._value


class KerasOps:
    """``keras.ops``, with the names and defaults that differ."""

    def __getattr__(self, name: str) -> Any:
        return getattr(ops, name)

    # Keras promotes float64 and a Python number, or float64 and its float32, to float32

    def maximum(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.maximum(*_alike(x, y))

    def minimum(self, x: Tensor, y: Tensor) -> Tensor:
        return ops.minimum(*_alike(x, y))

    def where(self, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return ops.where(condition, *_alike(x, y))

    def mean(self, x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
        shape = ops.shape(x)
        count = math.prod(shape) if axis is None else shape[axis]
        return ops.sum(x, axis=axis, keepdims=keepdims) / count

    def argmax(self, x: Tensor) -> Tensor:
        return ops.argmax(x, axis=-1)

    def gelu(self, x: Tensor) -> Tensor:
        return ops.gelu(x, approximate=False)

    def add_bias(self, x: Tensor, bias: Tensor) -> Tensor:
        return x + bias

    def take(self, x: Tensor, indices: Tensor) -> Tensor:
        return ops.take(x, indices, axis=0)

    def arange(self, n: Any, dtype: str) -> Tensor:
        return ops.arange(n, dtype=dtype)

    def one_hot(self, x: Tensor, n: int, dtype: str) -> Tensor:
        return ops.one_hot(x, n, dtype=dtype)

    def sigmoid_cross_entropy(self, scores: Tensor, targets: Tensor) -> Tensor:
        # this form never overflows, and is smooth at a score of 0, the initial score of an empty row
        return -targets * ops.log_sigmoid(scores) - (1 - targets) * ops.log_sigmoid(-scores)

    def softmax_cross_entropy(self, scores: Tensor, targets: Tensor) -> Tensor:
        picked = ops.take_along_axis(scores, ops.cast(targets, "int32")[:, None], axis=1)[:, 0]
        return ops.logsumexp(scores, axis=-1) - picked

    def take_rows(self, splits: Tensor, columns: Tensor, values: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        starts = ops.take(splits, rows)
        lengths = ops.take(splits, rows + 1) - starts
        ends = ops.cumsum(lengths)
        # entry k is its row's start, plus k, less the entries of the rows before
        stored = ops.repeat(starts - (ends - lengths), lengths) + ops.arange(ops.sum(lengths), dtype=starts.dtype)
        splits = ops.concatenate([ops.zeros_like(ends[:1]), ends])
        return splits, ops.take(columns, stored), ops.take(values, stored)

    def scatter(self, splits: Tensor, columns: Tensor, values: Tensor, shape: Sequence[Any]) -> Tensor:
        n_rows, n_columns = shape
        rows = ops.repeat(ops.arange(n_rows, dtype="int32"), ops.cast(splits[1:] - splits[:-1], "int32"))
        flat = rows * n_columns + ops.cast(columns, "int32")
        return ops.reshape(ops.scatter(flat[:, None], values, (n_rows * n_columns,)), (n_rows, n_columns))

    def sparse_matmul(self, splits: Tensor, columns: Tensor, values: Tensor, y: Tensor) -> Tensor:
        return ops.matmul(self.scatter(splits, columns, values, (ops.shape(splits)[0] - 1, ops.shape(y)[0])), y)

    def uniform(self, shape: Sequence[Any], seed: Tensor, dtype: str) -> Tensor:
        return keras.random.uniform(shape, seed=_Seed(seed), dtype=keras.backend.standardize_dtype(dtype))


def _alike(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    if isinstance(y, (int, float)):
        return x, ops.cast(y, x.dtype)
    if isinstance(x, (int, float)):
        return ops.cast(x, y.dtype), y
    return x, y


def backend_ops() -> Any:
    """Return the operations of the engine that Keras runs on: on TensorFlow those of the ``tf`` builder."""
    if keras.backend.backend() == "tensorflow":
        from ffnn.builders._tensorflow import ops as tensorflow_ops

        return tensorflow_ops
    return KerasOps()
