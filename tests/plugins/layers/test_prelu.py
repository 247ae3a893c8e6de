from __future__ import annotations

import numpy as np

from ffnn import MLPRegressor
from ffnn.testing.layers import LayerSuite
from ffnn_plugins.layers.prelu import PReLU
from tests.support.estimators import state_of


class TestPReLU(LayerSuite):
    name = "prelu"


def test_the_slopes_begin_at_a_quarter_and_are_learned(builder):
    X = np.random.default_rng(0).normal(size=(200, 1))
    y = np.where(X[:, 0] > 0, X[:, 0], -0.6 * X[:, 0])
    model = MLPRegressor(
        (8,), block=("affine", "prelu"), n_epochs=40, learning_rate=0.01, builder=builder, random_state=0
    )
    slopes = []

    def record(epoch, estimator, stats):
        slopes.append(state_of(estimator).weights["hidden1.prelu.alpha"])

    model.fit(X, y, monitor=record)
    assert np.abs(slopes[0] - 0.25).max() < 0.1
    assert np.abs(slopes[-1] - 0.25).max() > 0.1
    assert model.score(X, y) > 0.99


def test_the_slopes_do_not_decay():
    assert not PReLU().weights(3)["alpha"].decays
