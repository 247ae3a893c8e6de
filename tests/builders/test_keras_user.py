from __future__ import annotations

import pickle
import random
import warnings
from concurrent.futures import ThreadPoolExecutor

import cloudpickle
import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone

from ffnn import MLPClassifier, MLPRegressor
from ffnn.builders.keras import KerasBuilder
from tests.support.estimators import count_programs, model_of, state_of

keras = pytest.importorskip("keras")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Keras does not run on TensorFlow here"),
]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 12))
SCORES = X @ RNG.normal(size=(12, 3))
BINARY = (SCORES[:, 0] > 0).astype(int)
MULTI = SCORES.argmax(axis=1)


def sequential(network):
    return keras.Sequential([
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(network.n_outputs, activation=network.output.activation),
    ])  # fmt: skip


def normalized(network):
    x = inputs = keras.Input((network.n_features,))
    x = keras.layers.Dense(16)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.3)(keras.layers.ReLU()(x))
    return keras.Model(inputs, keras.layers.Dense(network.n_outputs, activation=network.output.activation)(x))


def linear(network):
    return keras.Sequential([keras.Input((network.n_features,)), keras.layers.Dense(network.n_outputs)])


class Subclassed(keras.Model):
    def __init__(self, n_outputs):
        super().__init__()
        self.drop = keras.layers.Dropout(0.5)
        self.out = keras.layers.Dense(n_outputs, activation="sigmoid")

    def call(self, x):
        return self.out(self.drop(x))


def classifier(build, returns="auto", **parameters):
    defaults = {"n_epochs": 5, "batch_size": 32, "random_state": 0, "learning_rate": 0.01}
    return MLPClassifier(builder=KerasBuilder(build, returns=returns), **defaults | parameters)


def weights(fitted):
    return state_of(fitted).weights


# --- fitting


@pytest.mark.parametrize(
    ("y", "sparse"),
    [(BINARY, False), (MULTI, False), ((SCORES > 0).astype(int), False), (MULTI, True)],
    ids=["binary", "multiclass", "multilabel", "multiclass-csr"],
)
@pytest.mark.parametrize("build", [sequential, normalized, linear])
def test_model_is_trained_and_given_back(build, y, sparse):
    fitted = classifier(build, n_epochs=20).fit(scipy.sparse.csr_array(X) if sparse else X, y)
    assert fitted.loss_curve_[-1] < 0.8 * fitted.loss_curve_[0]
    assert fitted.score(X, y) > 0.7
    model = fitted.model_
    shown = model.predict(X, verbose=0)
    probabilities = fitted.predict_proba(X)
    if build is linear:
        shown = keras.ops.convert_to_numpy(getattr(keras.ops, fitted.network_.output.activation)(shown))
    np.testing.assert_allclose(shown, probabilities[:, 1:] if y is BINARY else probabilities, atol=1e-6)
    assert model is not fitted.model_


def test_regression():
    fitted = MLPRegressor(builder=KerasBuilder(linear), n_epochs=60, learning_rate=0.02, random_state=0).fit(X, SCORES)
    assert fitted.score(X, SCORES) > 0.95


def test_equals_the_built_in_network():
    def same(network):
        x = inputs = keras.Input((network.n_features,), dtype=network.dtype)
        x = keras.layers.Dense(16, activation="relu", dtype=network.dtype)(x)
        x = keras.layers.Dense(1, activation="sigmoid", dtype=network.dtype)(x)
        return keras.Model(inputs, x)

    built = MLPClassifier((16,), builder="keras", dtype="float64", n_epochs=1, random_state=0).fit(X, BINARY)
    own = classifier(same, dtype="float64", n_epochs=1, learning_rate=1e-3, batch_size=64).fit(X, BINARY)
    for fitted, order in ((built, list(weights(built))), (own, list(weights(own)))):
        model = model_of(fitted)
        state = model.get_state()
        values = np.random.default_rng(1)
        for name in order:
            state.weights[name] = values.normal(size=state.weights[name].shape)
        state.slots = {}
        model.set_state(state)
        fitted.partial_fit(X, BINARY)
    np.testing.assert_allclose(own.loss_curve_[-1], built.loss_curve_[-1], rtol=1e-12)
    np.testing.assert_allclose(own.predict_proba(X), built.predict_proba(X), rtol=1e-9)


def test_regularizers_and_weight_decay_act():
    def penalized(network):
        return keras.Sequential([keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.5))])

    plain, ridge, decayed = (
        classifier(linear, n_epochs=30).fit(X, BINARY),
        classifier(penalized, n_epochs=30).fit(X, BINARY),
        classifier(linear, n_epochs=30, weight_decay=1.0).fit(X, BINARY),
    )
    norms = [np.linalg.norm(next(iter(weights(fitted).values()))) for fitted in (plain, ridge, decayed)]
    assert norms[1] < 0.5 * norms[0]
    assert norms[2] < 0.5 * norms[0]
    assert ridge.loss_curve_[0] > plain.loss_curve_[0]


def test_moving_means_are_learned_and_dropout_rests_in_prediction():
    fitted = classifier(normalized).fit(X + 3, BINARY)
    assert abs(weights(fitted)["batch_normalization/moving_mean"]).max() > 0.1
    np.testing.assert_array_equal(fitted.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_allclose(fitted.predict_proba(X[:3]), fitted.predict_proba(X)[:3], atol=1e-7)


def test_lbfgs():
    fitted = classifier(linear, solver="lbfgs", n_epochs=50).fit(X, BINARY)
    assert fitted.score(X, BINARY) > 0.97


def test_subclassed_model_says_what_it_returns():
    with pytest.raises(ValueError, match="last layer of a Subclassed cannot be seen.*returns='scores'"):
        classifier(lambda network: Subclassed(network.n_outputs)).fit(X, BINARY)
    fitted = classifier(lambda network: Subclassed(network.n_outputs), "probabilities", n_epochs=20).fit(X, BINARY)
    np.testing.assert_allclose(fitted.model_.predict(X, verbose=0), fitted.predict_proba(X)[:, 1:], atol=1e-5)
    assert fitted.score(X, BINARY) > 0.8
    # its dropout acts though its call() does not say `training`
    losses = fitted.loss_curve_[-1]
    assert losses > 1.1 * classifier(linear, n_epochs=20).fit(X, BINARY).loss_curve_[-1]


# --- random numbers and state


@pytest.mark.parametrize("build", [sequential, normalized])
def test_random_state_decides(build):
    random.seed(3)
    python = random.getstate()
    a, b, c = (classifier(build, random_state=seed).fit(X, MULTI) for seed in (0, 0, 1))
    assert random.getstate() == python
    assert a.loss_curve_ == b.loss_curve_ != c.loss_curve_
    for name, value in weights(a).items():
        np.testing.assert_array_equal(value, weights(b)[name])


def test_shared_initializer_and_weights_of_a_layer_of_ones_own_are_drawn_by_random_state():
    shared = keras.initializers.GlorotUniform()

    class Own(keras.layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1],), initializer="random_normal")

        def call(self, x):
            return x + self.w

    def build(network):
        return keras.Sequential([Own(), keras.layers.Dense(network.n_outputs, kernel_initializer=shared)])

    first, again, other = (
        classifier(build, random_state=s, learning_rate=1e-12).fit(X, MULTI) for s in (0, 0, 1)
    )  # fmt: skip
    for name, value in weights(first).items():
        np.testing.assert_array_equal(value, weights(again)[name])
        assert name.endswith("bias") or abs(value - weights(other)[name]).max() > 1e-3


def test_pretrained_and_seeded_weights_are_kept():
    kernel = np.arange(36, dtype="float32").reshape(12, 3) / 36

    def build(network):
        model = keras.Sequential([
            keras.Input((12,)),
            keras.layers.Dense(12, kernel_initializer=keras.initializers.GlorotUniform(seed=7)),
            keras.layers.Dense(3),
        ])  # fmt: skip
        model.layers[-1].set_weights([kernel, np.zeros(3)])
        return model

    a, b = (classifier(build, random_state=s, learning_rate=1e-12, n_epochs=1).fit(X, MULTI) for s in (0, 1))
    np.testing.assert_allclose(weights(a)["sequential/dense_1/kernel"], kernel, atol=1e-6)
    np.testing.assert_allclose(weights(a)["sequential/dense/kernel"], weights(b)["sequential/dense/kernel"], atol=1e-6)


def test_resumed_run_equals_an_uninterrupted_one():
    def run(interrupted):
        fitted = classifier(normalized)
        for _ in range(4):
            fitted.partial_fit(X, MULTI, classes=range(3))
            keras.layers.Dense(1)  # whatever else is built meanwhile, names stay
            fitted = pickle.loads(cloudpickle.dumps(fitted)) if interrupted else fitted
        return fitted

    a, b = run(False), run(True)
    assert a.loss_curve_ == b.loss_curve_
    assert list(weights(a)) == list(weights(b))
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


def test_threads_do_not_meet():
    def fit(seed):
        return classifier(normalized, random_state=seed).fit(X, MULTI).loss_curve_

    alone = [fit(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fit, range(4))) == alone


def test_equal_models_share_a_program_and_others_do_not(monkeypatch):
    made = count_programs(monkeypatch, "keras")
    width = 15  # no other test's

    def build(network):
        return keras.Sequential([keras.layers.Dense(width), keras.layers.Dense(network.n_outputs)])

    for seed in range(3):
        classifier(build, random_state=seed).fit(X, MULTI)
    assert len(made) == 1
    width = 16
    assert classifier(build).fit(X, MULTI).model_.layers[0].units == 16
    assert len(made) == 2


def test_builder_is_an_estimator():
    builder = KerasBuilder(sequential, returns="scores")
    given = {"build": sequential, "returns": "scores"}
    assert clone(builder).get_params() == KerasBuilder().get_params() | given
    assert KerasBuilder().set_params(build=linear).get_params()["build"] is linear
    assert "sequential" in repr(builder)
    assert clone(classifier(sequential)).set_params(builder__build=linear).fit(X, MULTI).model_.count_params() == 39


class Labelled(KerasBuilder):
    def __init__(self, build=None, label="none"):
        super().__init__(build)
        self.label = label


def test_the_parameters_of_a_subclass_survive_clone():
    assert clone(Labelled(sequential, label="mine")).get_params() == {"build": sequential, "label": "mine"}


# --- what bad models get


@pytest.mark.parametrize(("build", "kind", "match"), [
    (lambda network: 1 / 0, ValueError, "the function raised ZeroDivisionError: division by zero"),
    (lambda network: None, TypeError, "expected the function to return a keras.Model; got NoneType"),
    (lambda network: keras.Sequential([keras.layers.Dense(2, "softmax")]), ValueError,
     r"outputs of shape \(None, 2\); expected \(None, 1\).*one score, through a sigmoid.*network.n_outputs"),
    (lambda network: keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)]), ValueError,
     r"takes inputs of shape \[\(None, 5\)\]; expected one of shape \(None, 12\)"),
    (lambda network: keras.Sequential([keras.layers.Dense(1, "softmax")]), ValueError,
     "ends in softmax; these targets need sigmoid"),
    ("mlp", TypeError, "KerasBuilder.build='mlp': expected a function"),
])  # fmt: skip
def test_bad_models_are_named(build, kind, match):
    with pytest.raises(kind, match=match):
        classifier(build).fit(X, BINARY)


def test_returns_is_checked():
    with pytest.raises(ValueError, match="KerasBuilder.returns='logits'.*scores"):
        classifier(linear, "logits").fit(X, BINARY)


def test_compiled_model_is_warned_about():
    def build(network):
        model = sequential(network)
        model.compile("sgd", "mse")
        return model

    with pytest.warns(UserWarning, match="optimizer and loss are not used"):
        classifier(build).fit(X, BINARY)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        classifier(sequential).fit(X, BINARY)


def test_weights_of_another_architecture_are_refused():
    fitted = classifier(sequential).fit(X, BINARY).set_params(builder="tf")
    with pytest.raises(ValueError, match="weights are those of another architecture"):
        fitted.predict(X)
