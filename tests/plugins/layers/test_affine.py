from __future__ import annotations

import numpy as np
import pytest

from ffnn import MLPClassifier
from ffnn.initializers import draw
from ffnn.ops import NumpyOps
from ffnn.testing._suite import weights_and_context
from ffnn.testing.layers import LayerSuite
from ffnn_plugins.layers.affine import Affine


class TestAffine(LayerSuite):
    name = "affine"

    def test_it_is_a_product_and_a_bias(self):
        weights, _ = weights_and_context(self.bound(), 6, NumpyOps(), "float64", training=False)
        x = self.batch()
        np.testing.assert_allclose(self.run(NumpyOps(), x, training=False), x @ weights["weight"] + weights["bias"])

    def test_the_kernel_decays_and_the_bias_does_not(self):
        weights = self.bound().weights(6)
        assert {name: (weight.shape, weight.decays) for name, weight in weights.items()} == {
            "weight": ((6, 4), True),
            "bias": ((4,), False),
        }

    def test_an_instance_keeps_its_own_width(self):
        assert Affine(units=9).bind({"units": 4}).n_outputs(6) == 9

    def test_without_a_width_it_says_what_to_give(self):
        with pytest.raises(ValueError, match="units is None; expected a positive integer"):
            Affine().n_outputs(6)


def test_the_bias_may_begin_as_scikit_learns_does():
    bias = Affine(3000, "glorot_uniform", bias_initializer="glorot_uniform").weights(5000)["bias"]
    drawn = bias.scale * draw(bias.initializer, np.random.default_rng(0), bias.shape, "float64")
    bound = np.sqrt(6 / (5000 + 3000))
    assert np.abs(drawn).max() == pytest.approx(bound, rel=1e-2)
    assert drawn.std() == pytest.approx(bound / np.sqrt(3), rel=5e-2)
    assert np.abs(drawn).max() <= bound


def test_another_beginning_of_the_bias_is_refused():
    with pytest.raises(ValueError, match="Affine.bias_initializer='ones' is not known"):
        Affine(bias_initializer="ones").bind({"units": 3})


class Named(Affine):
    """An affine layer under another name."""


def test_a_subclass_is_among_the_coefficients():
    X, y = np.eye(6), np.arange(6) % 2
    model = MLPClassifier(hidden_units=(3,), block=(Named(), "activation"), n_epochs=1).fit(X, y)
    assert [w.shape for w in model.coefs_] == [(6, 3), (3, 1)]
    assert [b.shape for b in model.intercepts_] == [(3,), (1,)]
