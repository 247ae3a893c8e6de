from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris

from ffnn import MLPClassifier
from ffnn.ops import NumpyOps
from ffnn.testing._suite import weights_and_context
from ffnn.testing.layers import LayerSuite
from ffnn_plugins.layers.ntk_affine import NTKAffine
from ffnn_plugins.outputs.multiclass import MulticlassOutput
from tests.support.estimators import state_of

X, Y = load_iris(return_X_y=True)
X = X / 10


class TestNTKAffine(LayerSuite):
    name = "ntk_affine"
    layer = NTKAffine()


class TestNTKAffineFromZero(LayerSuite):
    name = "ntk_affine"
    layer = NTKAffine(3, zero=True, bias_rate=0.5)


def test_it_is_a_product_by_the_root_of_the_width_and_a_slow_bias():
    layer = NTKAffine(3, bias_rate=0.2)
    weights, context = weights_and_context(layer, 4, NumpyOps(), "float64", training=False)
    x = np.random.default_rng(0).normal(size=(5, 4))
    result = layer.forward(NumpyOps(), x, weights, context)
    np.testing.assert_allclose(result, x @ weights["weight"] / 2 + 0.2 * weights["bias"])


def initial(**parameters):
    """Return a network's first weights: its rate is too small to change them."""
    model = MLPClassifier((300,), n_epochs=1, learning_rate=1e-12, random_state=0, **parameters).fit(X, Y)
    return model, state_of(model).weights


def test_weights_and_bias_begin_as_standard_normal_draws_or_at_zero():
    head = MulticlassOutput(head=(NTKAffine(zero=True),))
    model, weights = initial(block=(NTKAffine(), "activation"), output_layer=head)
    assert weights["hidden1.ntkaffine.weight"].std() == pytest.approx(1, rel=0.1)
    assert (0.1 * weights["hidden1.ntkaffine.bias"]).std() == pytest.approx(1, rel=0.1)
    np.testing.assert_allclose(model.predict_proba(X), 1 / 3, atol=1e-6)
    assert model.coefs_ == model.intercepts_ == []


def test_the_bias_learns_at_its_rate():
    """Adam's first step is the learning rate, whatever the gradient; but for a saturated unit's, which is near zero."""
    changes = {}
    for rate in (0.1, 1.0):
        block = (NTKAffine(bias_rate=rate), "activation")
        start = initial(block=block)[1]["hidden1.ntkaffine.bias"]
        model = MLPClassifier(
            (300,), n_epochs=1, batch_size=150, learning_rate=0.01, block=block, activation="tanh", random_state=0
        )
        changes[rate] = rate * (state_of(model.fit(X, Y)).weights["hidden1.ntkaffine.bias"] - start)
    for rate, change in changes.items():
        assert np.median(np.abs(change)) == pytest.approx(0.01 * rate, rel=1e-3)


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        (NTKAffine(bias_rate=0.0), ValueError, "NTKAffine.bias_rate=0.0: expected a finite number greater than 0"),
        (NTKAffine(zero=1), TypeError, "NTKAffine.zero=1: expected True or False"),
    ],
)
def test_a_wrong_parameter_is_refused(layer, error, message):
    with pytest.raises(error, match=message):
        MLPClassifier(block=(layer, "activation")).fit(X, Y)
