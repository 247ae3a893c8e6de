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
    "sigmoid_cross_entropy": (50 * X, (X > 0).astype(float)),
    "softmax_cross_entropy": (50 * X, np.array([0, 1, 2, 3, 0])),
    "reshape": (X, (-1, 2)),
    "transpose": (X.reshape(5, 2, 2), (1, 0, 2)),
    "concatenate": ([X, X], 1),
    "take": (X, np.array([4, 0, 0])),
    "repeat": (np.arange(3), np.array([2, 0, 3])),
    "ranges": (np.array([7, 3, 0]), np.array([2, 0, 3])),
    "one_hot": (np.array([2, 0]), 3, "float32"),
    "scatter": (np.array([0, 1, 0]), np.array([2, 0, 1]), np.array([1.0, 2.0, 5.0]), (2, 3)),
}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("arange", "uniform")])
def test_numpy_and_tensorflow_agree(name):
    arguments = ARGUMENTS.get(name, (X,))
    expected = getattr(NumpyOps(), name)(*arguments)
    result = np.asarray(getattr(engine_ops(), name)(*arguments))
    assert result.shape == np.shape(expected)
    np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-12)


def test_keywords_agree():
    for ops in (NumpyOps(), engine_ops()):
        np.testing.assert_array_equal(ops.arange(3, dtype="int32"), [0, 1, 2])
        assert np.asarray(ops.arange(3, dtype="int32")).dtype == np.int32
        for name in ("sum", "mean"):
            assert getattr(ops, name)(X, axis=1, keepdims=True).shape == (5, 1)
            assert getattr(ops, name)(X, axis=None).shape == ()


def test_values_at_the_same_place_are_added():
    np.testing.assert_array_equal(NumpyOps().scatter(*ARGUMENTS["scatter"]), [[0, 5, 1], [2, 0, 0]])


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
