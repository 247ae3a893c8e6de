"""The array operations: NumPy's, which say what each one means, and TensorFlow's."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from ffnn.ops import NumpyOps, Ops
from ffnn.testing._suite import engine_ops

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 4))
NAMES = [name for name, _ in inspect.getmembers(Ops, inspect.isfunction) if not name.startswith("_")]

ROWS = (np.array([0, 2, 2, 3, 6]), np.array([2, 1, 0, 0, 1, 2]), np.array([1.0, 5.0, 2.0, 3.0, 4.0, 6.0]))

#: The arguments to call each operation with; what is not here takes one array.
ARGUMENTS = {
    "log": (np.abs(X) + 0.1,),
    "log1p": (np.abs(X),),
    "sqrt": (np.abs(X),),
    "maximum": (X, X[::-1].copy()),
    "minimum": (X, X[::-1].copy()),
    "where": (X > 0, X, -X),
    "cast": (X, "float32"),
    "sum": (X, 1),
    "mean": (X, 0),
    "matmul": (X, X.T.copy()),
    "add_bias": (X, X[0]),
    "sigmoid_cross_entropy": (50 * X, (X > 0).astype(float)),
    "softmax_cross_entropy": (50 * X, np.array([0, 1, 2, 3, 0])),
    "reshape": (X, (-1, 2)),
    "transpose": (X.reshape(5, 2, 2), (1, 0, 2)),
    "concatenate": ([X, X], 1),
    "take": (X, np.array([4, 0, 0])),
    "one_hot": (np.array([2, 0]), 3, "float32"),
    "take_rows": (*ROWS, np.array([3, 1, 0, 0])),
    "scatter": (*ROWS, (4, 3)),
    "sparse_matmul": (*ROWS, X[:3]),
}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("arange", "uniform")])
def test_numpy_and_tensorflow_agree(name):
    arguments = ARGUMENTS.get(name, (X,))
    expected = getattr(NumpyOps(), name)(*arguments)
    result = getattr(engine_ops(), name)(*arguments)
    several = name == "take_rows"
    for part, wanted in zip(*(r if several else (r,) for r in (result, expected)), strict=True):
        assert np.shape(part) == np.shape(wanted)
        np.testing.assert_allclose(np.asarray(part), wanted, rtol=1e-9, atol=1e-12)


def test_keywords_agree():
    for ops in (NumpyOps(), engine_ops()):
        np.testing.assert_array_equal(ops.arange(3, dtype="int32"), [0, 1, 2])
        assert np.asarray(ops.arange(3, dtype="int32")).dtype == np.int32
        for name in ("sum", "mean"):
            assert getattr(ops, name)(X, axis=1, keepdims=True).shape == (5, 1)
            assert getattr(ops, name)(X, axis=None).shape == ()


def test_sparse_rows_made_dense():
    dense = [[0, 5, 1], [0, 0, 0], [2, 0, 0], [3, 4, 6]]
    np.testing.assert_array_equal(NumpyOps().scatter(*ARGUMENTS["scatter"]), dense)
    taken = NumpyOps().take_rows(*ARGUMENTS["take_rows"])
    np.testing.assert_array_equal(NumpyOps().scatter(*taken, (4, 3)), [dense[3], dense[1], dense[0], dense[0]])


@pytest.mark.parametrize("gpu", [False, True], ids=["as on a CPU", "as beside a GPU"])
def test_tensorflows_gradients_through_sparse_rows(gpu, monkeypatch):
    import tensorflow as tf

    ops = engine_ops()
    monkeypatch.setattr(ops, "_on_gpu", lambda: gpu)
    splits, columns, values = ops.take_rows(*map(tf.constant, ROWS), tf.constant([3, 1, 0]))
    np.testing.assert_array_equal(splits, [0, 3, 3, 5])
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(ops.scatter(splits, columns, values, (3, 3)) * X[:3, :3])
    np.testing.assert_allclose(tape.gradient(total, values), X[[0, 0, 0, 2, 2], [0, 1, 2, 2, 1]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_draws_are_a_function_of_the_seed(dtype):
    for ops in (NumpyOps(), engine_ops()):
        one, again, other = (
            np.asarray(ops.uniform((50, 40), np.array(seed, dtype=np.int32), dtype))
            for seed in ([1, 2], [1, 2], [1, 3])
        )
        assert one.dtype == dtype
        np.testing.assert_array_equal(one, again)
        assert not np.array_equal(one, other)
        assert one.min() >= 0
        assert one.max() < 1
        assert one.mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("gpu", [False, True], ids=["as on a CPU", "as beside a GPU"])
def test_entries_at_one_place_are_added(gpu, monkeypatch):
    ops = engine_ops()
    monkeypatch.setattr(ops, "_on_gpu", lambda: gpu)
    twice = (np.array([0, 3, 4]), np.array([2, 0, 2], dtype=np.int32), np.array([1.0, 5.0, 2.0]))
    twice = (twice[0], np.append(twice[1], np.int32(1)), np.append(twice[2], 7.0))
    for each in (NumpyOps(), ops):
        np.testing.assert_array_equal(each.scatter(*twice, (2, 3)), [[5, 0, 3], [0, 7, 0]])
        np.testing.assert_allclose(each.sparse_matmul(*twice, X[:3]), [[5, 0, 3], [0, 7, 0]] @ X[:3])
