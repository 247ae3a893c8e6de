from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from ffnn import MLPClassifier, MLPRegressor
from ffnn.ops import NumpyOps
from ffnn.testing._suite import engine_ops, to_numpy, weights_and_context
from ffnn.testing.layers import LayerSuite
from ffnn_plugins.layers.batch_norm import BatchNorm
from tests.conftest import BUILDERS
from tests.support.estimators import state_of

BLOCK = ("affine", "batch_norm", "activation")
X, Y = load_breast_cancer(return_X_y=True)
X = X[:90, :8]
Y = Y[:90]


class TestBatchNorm(LayerSuite):
    name = "batch_norm"


def run(ops, x, weight, layer=None):
    """The layer's output in training, its weights, and the moving averages after it."""
    layer = layer or BatchNorm()
    weights, context = weights_and_context(layer, x.shape[1], ops, "float64", training=True)
    context = dataclasses.replace(context, row_weight=ops.cast(np.asarray(weight, dtype=float), "float64"))
    y = to_numpy(layer.forward(ops, ops.cast(x, "float64"), weights, context))
    weights = {name: to_numpy(weight) for name, weight in weights.items()}
    return (y - weights["beta"]) / weights["gamma"], weights, context.updates


@pytest.mark.parametrize("ops", [NumpyOps(), engine_ops()], ids=["numpy", "engine"])
def test_a_batch_is_standardised(ops):
    x = np.random.default_rng(0).normal(5, 3, size=(40, 4))
    y, weights, updates = run(ops, x, np.ones(40), BatchNorm(momentum=0.75, epsilon=1e-9))
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(y.std(axis=0), 1, rtol=1e-6)
    np.testing.assert_allclose(to_numpy(updates["moving_mean"]), 0.75 * weights["moving_mean"] + x.mean(axis=0) / 4)
    variance = 0.75 * weights["moving_variance"] + x.var(axis=0) / 4
    np.testing.assert_allclose(to_numpy(updates["moving_variance"]), variance)


def test_a_weight_is_a_repetition():
    x = np.random.default_rng(0).normal(size=(5, 3))
    weight = np.array([1, 3, 2, 1, 4])
    y, _, updates = run(NumpyOps(), x, weight)
    repeated, _, expected = run(NumpyOps(), np.repeat(x, weight, axis=0), np.ones(11))
    np.testing.assert_allclose(np.repeat(y, weight, axis=0), repeated)
    for name in updates:
        np.testing.assert_allclose(updates[name], expected[name])


@pytest.mark.parametrize("ops", [NumpyOps(), engine_ops()], ids=["numpy", "engine"])
def test_a_batch_of_one_row_takes_the_moving_averages(ops):
    x = np.array([[3.0, -1.0]])
    y, weights, updates = run(ops, x, [2.0])
    np.testing.assert_allclose(y, (x - weights["moving_mean"]) / np.sqrt(weights["moving_variance"] + 1e-3), rtol=1e-12)
    for name, value in updates.items():
        np.testing.assert_array_equal(to_numpy(value), weights[name])


def averages(model):
    return {name: v for name, v in state_of(model).weights.items() if "moving" in name}


@pytest.mark.parametrize("builder", BUILDERS)
def test_predictions_use_the_moving_averages(builder):
    model = MLPClassifier((6,), block=("batch_norm", "affine"), n_epochs=60, builder=builder, random_state=0).fit(X, Y)
    mean, variance = averages(model).values()
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=0.1)
    np.testing.assert_allclose(variance, X.var(axis=0), rtol=0.3)
    np.testing.assert_array_equal(model.predict_proba(X[:3]), model.predict_proba(X)[:3])


def test_the_moving_averages_are_the_same_on_all_builders():
    tf, keras = (
        MLPClassifier(
            (6, 4),
            block=BLOCK,
            batch_size=32,
            dropout=0.2,
            n_epochs=8,
            builder=builder,
            dtype="float64",
            random_state=0,
        ).fit(X, Y, np.linspace(0, 2, 90))
        for builder in ("tf", "keras")
    )
    np.testing.assert_allclose(tf.loss_curve_, keras.loss_curve_, rtol=1e-9)
    for name, value in averages(tf).items():
        np.testing.assert_allclose(averages(keras)[name], value, rtol=1e-9)
    expected = tf.predict_proba(X)
    np.testing.assert_allclose(tf.set_params(builder="keras").predict_proba(X), expected, rtol=1e-9)


def test_the_public_keras_model_has_keras_own_layer():
    model = MLPClassifier((6,), block=BLOCK, n_epochs=8, builder="keras", random_state=0).fit(X, Y)
    public = model.model_
    assert "BatchNormalization" in [type(layer).__name__ for layer in public.layers]
    np.testing.assert_allclose(public.predict(X, verbose=0)[:, 0], model.predict_proba(X)[:, 1], rtol=1e-5)


@pytest.mark.parametrize("builder", BUILDERS)
def test_resumed_equals_uninterrupted(builder):
    def new():
        return MLPClassifier((6,), block=BLOCK, batch_size=32, n_epochs=3, builder=builder, random_state=0)

    resumed = new().partial_fit(X, Y, classes=[0, 1])
    for _ in range(2):
        resumed = pickle.loads(pickle.dumps(resumed)).partial_fit(X, Y)
    whole = new().fit(X, Y)
    np.testing.assert_array_equal(resumed.predict_proba(X), whole.predict_proba(X))
    for name, value in averages(whole).items():
        np.testing.assert_array_equal(averages(resumed)[name], value)


@pytest.mark.parametrize("builder", BUILDERS)
def test_rows_of_no_weight_are_not_there(builder):
    def fit(X, y, weight):
        return MLPRegressor((6,), block=BLOCK, n_epochs=10, builder=builder, batch_size=90, random_state=0).fit(
            X, y, weight
        )

    far = np.vstack([X, 1e6 + X])
    one = fit(X, X[:, 0], None)
    other = fit(far, far[:, 0], np.repeat([1.0, 0.0], 90))
    for name, value in averages(one).items():
        np.testing.assert_allclose(averages(other)[name], value, rtol=1e-9)


def test_a_full_batch_solver_is_refused_before_anything_starts():
    model = MLPClassifier((6,), block=BLOCK, solver="lbfgs")
    with pytest.raises(ValueError, match="solver='lbfgs'.*'hidden1.batchnorm'.*layer_norm"):
        model.fit(X, Y)
    assert not hasattr(model, "network_")


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        (BatchNorm(momentum=1.0), ValueError, r"BatchNorm.momentum=1.0: expected a number in \[0, 1\)"),
        (BatchNorm(epsilon=0), ValueError, "BatchNorm.epsilon=0: expected a finite number greater than 0"),
        (BatchNorm(momentum="a"), TypeError, "BatchNorm.momentum='a'"),
    ],
)
def test_a_wrong_number_is_refused(layer, error, message):
    with pytest.raises(error, match=message):
        MLPClassifier(block=("affine", layer)).fit(X, Y)
