from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ffnn.testing.outputs import OutputSuite
from ffnn_plugins.outputs.regression import RegressionOutput

rng = np.random.default_rng(0)


class TestRegression(OutputSuite):
    name = "regression"
    y = rng.normal(1000, 30, size=24)


class TestRegressionOfSeveral(OutputSuite):
    name = "regression"
    y = rng.normal([1000, 0, -1], [30, 1e-3, 1], size=(24, 3))


TARGETS = arrays.arrays(
    np.float64,
    st.one_of(st.tuples(st.integers(2, 12)), st.tuples(st.integers(2, 12), st.integers(1, 3))),
    elements=st.floats(-1e6, 1e6, width=32),
)


@given(TARGETS)
@settings(deadline=None)
def test_standardised_targets_come_back(y):
    output = RegressionOutput().fit(y, None, np.ones(len(y)))
    encoded = output.encode(y, "float64")
    assert encoded.shape == (len(y), output.n_outputs_)
    np.testing.assert_allclose(output.decode(encoded), y, rtol=1e-9, atol=1e-9 * np.abs(y).max())
    assert np.isfinite(encoded).all()
    spread = encoded[:, np.ptp(encoded, axis=0) > 1e-3]
    np.testing.assert_allclose(spread.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(spread.std(axis=0), 1, rtol=1e-6)


@given(value=st.floats(-1e12, 1e12), n=st.integers(1, 7))
@settings(deadline=None)
def test_a_constant_target_is_only_shifted(value, n):
    y = np.full(n, value)
    output = RegressionOutput().fit(y, None, np.ones(n))
    np.testing.assert_allclose(output.scale_, 1)
    np.testing.assert_allclose(output.encode(y, "float64"), 0, atol=1e-12 * abs(value))


def test_mean_and_scale_are_weighted():
    y, weight = np.array([0.0, 1.0, 10.0]), np.array([2, 1, 0])
    output = RegressionOutput().fit(y, None, weight)
    repeated = RegressionOutput().fit(np.array([0.0, 0.0, 1.0]), None, np.ones(3))
    np.testing.assert_allclose([output.mean_, output.scale_], [repeated.mean_, repeated.scale_])


def test_the_loss_is_half_the_squared_error():
    from ffnn.ops import NumpyOps

    output = RegressionOutput().fit(np.zeros((2, 2)), None, np.ones(2))
    scores, targets = np.array([[3.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 2.0]])
    assert output.loss(NumpyOps(), scores, targets, np.array([1.0, 3.0])) == (1 + 3, 4)


@pytest.mark.parametrize(
    ("first", "then", "message"),
    [
        (np.zeros(3), np.zeros((3, 1)), r"shape \(3, 1\); expected \(n_samples,\)"),
        (np.zeros((3, 2)), np.zeros((3, 3)), r"shape \(3, 3\); expected \(n_samples, 2\)"),
        (np.zeros((3, 2)), np.zeros(3), r"shape \(3,\); expected \(n_samples, 2\)"),
    ],
)
def test_another_shape_is_refused(first, then, message):
    with pytest.raises(ValueError, match=message):
        RegressionOutput().fit(first, None, np.ones(3)).encode(then, "float32")


def test_a_column_stays_a_column():
    y = np.arange(3.0)[:, None]
    output = RegressionOutput().fit(y, None, np.ones(3))
    assert output.decode(output.encode(y, "float64")).shape == (3, 1)
