from __future__ import annotations

import numpy as np
import pytest

from ffnn import MLPClassifier
from ffnn.ops import NumpyOps
from ffnn.testing._suite import weights_and_context
from ffnn.testing.layers import LayerSuite
from ffnn_plugins.layers.layer_norm import LayerNorm


class TestLayerNorm(LayerSuite):
    name = "layer_norm"


def test_a_row_is_standardised():
    x = np.random.default_rng(0).normal(5, 3, size=(9, 50))
    layer = LayerNorm(epsilon=1e-9)
    weights, context = weights_and_context(layer, 50, NumpyOps(), "float64", training=False)
    y = (layer.forward(NumpyOps(), x, weights, context) - weights["beta"]) / weights["gamma"]
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(y.std(axis=1), 1, rtol=1e-6)


def test_a_full_batch_solver_trains_it(builder):
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = X[:, 0] > X[:, 1]
    model = MLPClassifier(
        (8,), block=("affine", "layer_norm", "activation"), solver="lbfgs", n_epochs=50, builder=builder
    )
    assert model.fit(X, y).score(X, y) == 1


def test_a_wrong_number_is_refused():
    with pytest.raises(ValueError, match="LayerNorm.epsilon=-1: expected a finite number greater than 0"):
        LayerNorm(epsilon=-1).bind({})
