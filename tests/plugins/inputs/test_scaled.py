from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from ffnn import MLPRegressor
from ffnn.testing.inputs import InputSuite
from ffnn_plugins.inputs.scaled import ScaledInput
from tests.support.estimators import state_of

X = np.random.default_rng(0).normal(size=(200, 5))
Y = X[:, 0] + X[:, 1] ** 2


class TestScaled(InputSuite):
    name = "scaled"
    input = ScaledInput(rate=4.0)


def test_the_factors_begin_at_1_and_learn_at_their_rate(builder):
    """Adam's first step is the learning rate, whatever the gradient."""
    model = MLPRegressor(
        (8,), input_layer=ScaledInput(6.0), n_epochs=1, batch_size=200, learning_rate=0.01, activation="tanh",
        builder=builder, random_state=0,
    )  # fmt: skip
    factors = 6 * state_of(model.fit(X, Y)).weights["input.factor"]
    np.testing.assert_allclose(np.abs(factors - 1), 0.06, rtol=1e-3)


def test_what_tells_nothing_gets_a_smaller_factor():
    model = MLPRegressor((32,), input_layer="scaled", n_epochs=60, learning_rate=3e-3, random_state=0).fit(X, Y)
    factors = np.abs(state_of(model).weights["input.factor"])
    assert factors[:2].min() > 1.5 * factors[2:].max()


def test_a_sparse_X_is_refused():
    with pytest.raises(TypeError, match="input_layer='scaled': X is sparse"):
        MLPRegressor(input_layer="scaled").fit(scipy.sparse.csr_array(X), Y)


def test_a_wrong_rate_is_refused():
    with pytest.raises(ValueError, match="ScaledInput.rate=0: expected a finite number greater than 0"):
        MLPRegressor(input_layer=ScaledInput(0)).fit(X, Y)
