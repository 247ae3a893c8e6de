from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from ffnn import MLPClassifier, MLPRegressor
from ffnn.ops import NumpyOps
from ffnn.testing._suite import weights_and_context
from ffnn.testing.inputs import InputSuite
from ffnn_plugins.inputs.plr import PLRInput
from tests.conftest import BUILDERS
from tests.support.estimators import state_of


class TestPLR(InputSuite):
    name = "plr"
    input = PLRInput(n_frequencies=5, n_dims=3, sigma=0.3)


class TestPLRLite(InputSuite):
    name = "plr"
    input = PLRInput(n_frequencies=5, n_dims=3, sigma=0.3, lite=True)


@pytest.mark.parametrize("lite", [False, True])
def test_it_is_periodic_linear_and_rectified(lite):
    made = PLRInput(n_frequencies=4, n_dims=3, lite=lite)
    weights, context = weights_and_context(made, 2, NumpyOps(), "float64", training=False)
    x = np.random.default_rng(0).normal(size=(5, 2))
    result = made.forward(NumpyOps(), x, weights, context).reshape(5, 2, 3)
    for row in range(5):
        for feature in range(2):
            angles = 2 * np.pi * weights["frequencies"][:, feature] * x[row, feature]
            weight, bias = weights["weight"], weights["bias"]
            if not lite:
                weight, bias = weight[:, feature], bias[feature]
            expected = np.maximum(np.concatenate([np.cos(angles), np.sin(angles)]) @ weight + bias, 0)
            np.testing.assert_allclose(result[row, feature], expected)


def test_the_first_frequencies_have_the_spread_sigma():
    made = PLRInput(n_frequencies=2000, sigma=7.0)
    X = np.random.default_rng(0).normal(size=(20, 3))
    model = MLPRegressor((), input_layer=made, n_epochs=1, learning_rate=1e-9, random_state=0).fit(X, X[:, 0])
    frequencies = state_of(model).weights["input.frequencies"]
    assert frequencies.shape == (2000, 3)
    assert frequencies.std() == pytest.approx(7, rel=0.05)
    assert frequencies.mean() == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_wave_is_learned_that_raw_numbers_hide(builder):
    X = np.random.default_rng(0).uniform(-1, 1, size=(400, 2))
    y = np.sin(12 * X[:, 0])

    def score(input_layer):
        model = MLPRegressor(
            (32,), input_layer=input_layer, n_epochs=40, learning_rate=3e-3, builder=builder, random_state=0
        )
        return model.fit(X[:300], y[:300]).score(X[300:], y[300:])

    assert score(PLRInput(16, sigma=1.0, n_dims=8)) > 0.9
    assert score("dense") < 0.5


@pytest.mark.parametrize("builder", BUILDERS)
def test_the_frequencies_are_learned(builder):
    X = np.random.default_rng(0).normal(size=(60, 2))
    new = MLPRegressor((4,), n_epochs=10, input_layer=PLRInput(4), builder=builder, random_state=0)
    first = state_of(new.fit(X, X[:, 0])).weights["input.frequencies"]
    later = state_of(new.set_params(n_epochs=20).fit(X, X[:, 0])).weights["input.frequencies"]
    assert np.abs(later - first).min() > 0


@pytest.mark.parametrize("lite", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-9)])
def test_all_builders_train_the_same(lite, dtype, tolerance):
    X = np.random.default_rng(0).normal(size=(90, 3))
    tf, keras = (
        MLPRegressor(
            (8,),
            input_layer=PLRInput(8, lite=lite),
            n_epochs=10,
            dropout=0.2,
            builder=builder,
            dtype=dtype,
            random_state=0,
        ).fit(X, X[:, 0] ** 2)
        for builder in ("tf", "keras")
    )
    np.testing.assert_allclose(keras.loss_curve_, tf.loss_curve_, rtol=tolerance)
    np.testing.assert_allclose(
        keras.set_params(builder="tf").predict(X), tf.predict(X), rtol=10 * tolerance, atol=tolerance
    )


def test_the_public_keras_model_predicts_the_same():
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = MLPRegressor((4,), n_epochs=10, input_layer=PLRInput(4), builder="keras", random_state=0).fit(X, X[:, 0])
    np.testing.assert_allclose(model.model_.predict(X, verbose=0)[:, 0], model.predict(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_sparse_x_is_refused(builder):
    X = np.eye(6)
    sparse = scipy.sparse.csr_array(X)
    model = MLPClassifier((4,), input_layer="plr", builder=builder)
    with pytest.raises(TypeError, match="input_layer='plr': X is sparse; expected a dense array.*toarray"):
        model.fit(sparse, [0, 1] * 3)
    assert not hasattr(model, "network_")
    with pytest.raises(TypeError, match="X is sparse"):
        model.fit(X, [0, 1] * 3).predict(sparse)


def test_a_program_serves_every_sigma():
    assert PLRInput(sigma=0.1).structure() == PLRInput(sigma=1.0).structure()
    assert PLRInput(lite=True).structure() != PLRInput().structure()


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_frequencies": 0}, ValueError, "PLRInput.n_frequencies=0: expected a positive integer"),
        ({"n_dims": 2.5}, TypeError, "PLRInput.n_dims=2.5: expected a positive integer, got float"),
        ({"sigma": 0}, ValueError, "PLRInput.sigma=0: expected a finite number greater than 0"),
        ({"lite": "yes"}, TypeError, "PLRInput.lite='yes'"),
    ],
)
def test_a_wrong_parameter_is_refused(parameters, error, message):
    with pytest.raises(error, match=message):
        MLPClassifier(input_layer=PLRInput(**parameters)).fit([[0.0], [1.0]], [0, 1])
