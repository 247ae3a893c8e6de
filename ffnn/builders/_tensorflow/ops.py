"""The array operations of :class:`ffnn.ops.Ops`, by TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ffnn.ops import Tensor

abs = tf.abs
add_bias = tf.nn.bias_add
arange = tf.range
cast = tf.cast
concatenate = tf.concat
cos = tf.cos
elu = tf.nn.elu
exp = tf.exp
log = tf.math.log
log1p = tf.math.log1p
log_softmax = tf.nn.log_softmax
matmul = tf.matmul
maximum = tf.maximum
minimum = tf.minimum
ones_like = tf.ones_like
relu = tf.nn.relu
reshape = tf.reshape
selu = tf.nn.selu
shape = tf.shape
sigmoid = tf.sigmoid
sign = tf.sign
silu = tf.nn.silu
sin = tf.sin
softplus = tf.math.softplus
sqrt = tf.sqrt
square = tf.square
take = tf.gather
tanh = tf.tanh
transpose = tf.transpose
where = tf.where
zeros_like = tf.zeros_like


def sum(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    return tf.reduce_sum(x, axis=axis, keepdims=keepdims)


def argmax(x: Tensor) -> Tensor:
    return tf.argmax(x, axis=-1)


def mean(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    return tf.reduce_mean(x, axis=axis, keepdims=keepdims)


# TensorFlow's own gelu and leaky_relu round their constants to float32, in float64 too


def gelu(x: Tensor) -> Tensor:
    return 0.5 * x * tf.math.erfc(-x * 0.7071067811865476)


def leaky_relu(x: Tensor) -> Tensor:
    return tf.where(x > 0, x, 0.2 * x)


def one_hot(x: Tensor, n: int, dtype: str) -> Tensor:
    return tf.one_hot(x, n, dtype=dtype)


def sigmoid_cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    return tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=scores)


def softmax_cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=scores)


def take_rows(splits: Tensor, columns: Tensor, values: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    if not _on_gpu():
        # whole rows are copied, where gathering goes entry by entry; twice as fast
        taken = [
            tf.raw_ops.RaggedGather(
                params_nested_splits=[splits], params_dense_values=x, indices=rows, OUTPUT_RAGGED_RANK=1
            )
            for x in (columns, values)
        ]
        return taken[0].output_nested_splits[0], taken[0].output_dense_values, taken[1].output_dense_values
    starts = tf.gather(splits, rows)
    ends = tf.gather(splits, rows + 1)
    one = tf.ones((), starts.dtype)
    stored = tf.raw_ops.RaggedRange(starts=starts, limits=ends, deltas=one).rt_dense_values
    lengths = tf.cumsum(ends - starts)
    return tf.concat([lengths[:1] * 0, lengths], 0), tf.gather(columns, stored), tf.gather(values, stored)


def scatter(splits: Tensor, columns: Tensor, values: Tensor, shape: Sequence[Any]) -> Tensor:
    n_rows, n_columns = shape

    @tf.custom_gradient  # bincount, which the first way takes, has none
    def dense(values: Tensor) -> Any:
        def gradient(upstream: Tensor) -> Tensor:
            return tf.gather(tf.reshape(upstream, [-1]), _flat(splits, columns, n_columns))

        if _on_gpu():
            size = tf.cast(n_rows, tf.int64) * n_columns
            found = tf.math.unsorted_segment_sum(values, _flat(splits, columns, n_columns), size)
        else:
            # one pass over the entries; the other way needs each one's place first, which takes twice as long
            found = tf.raw_ops.RaggedBincount(
                splits=tf.cast(splits, tf.int64), values=columns, size=tf.cast(n_columns, columns.dtype), weights=values
            )
        return tf.reshape(found, [n_rows, n_columns]), gradient

    return dense(values)


def sparse_matmul(splits: Tensor, columns: Tensor, values: Tensor, y: Tensor) -> Tensor:
    shape = [tf.size(splits, tf.int64) - 1, tf.shape(y, tf.int64)[0]]
    places = tf.stack([_rows(splits), tf.cast(columns, tf.int64)], axis=1)
    return tf.sparse.sparse_dense_matmul(tf.SparseTensor(places, values, shape), y)


def _on_gpu() -> bool:
    """Whether there may be a GPU, which lacks the operations that are fastest on a CPU."""
    return bool(tf.config.list_logical_devices("GPU"))


def _rows(splits: Tensor) -> Tensor:
    """Return the row of each stored entry."""
    lengths = tf.cast(splits[1:] - splits[:-1], tf.int64)
    return tf.repeat(tf.range(tf.size(lengths, tf.int64)), lengths)


def _flat(splits: Tensor, columns: Tensor, n_columns: Any) -> Tensor:
    """Return the place of each stored entry in the flattened matrix."""
    return _rows(splits) * tf.cast(n_columns, tf.int64) + tf.cast(columns, tf.int64)


def uniform(shape: Sequence[Any], seed: Tensor, dtype: str) -> Tensor:
    return tf.random.stateless_uniform(shape, seed, dtype=dtype)
