from __future__ import annotations

import copy
import pickle
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import psutil
import pytest
import scipy.sparse

from ffnn import MLPClassifier, MLPRegressor
from ffnn.layer import Layer, Traits, Weight
from tests.support.estimators import scores_of, state_of

keras = pytest.importorskip("keras")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Keras does not run on TensorFlow here"),
]

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 20)) * (RNG.random((200, 20)) < 0.4)
SCORES = X @ RNG.normal(size=(20, 4))
TARGETS = {
    "binary": (SCORES[:, 0] > 0).astype(int),
    "multiclass": SCORES.argmax(axis=1),
    "multilabel": np.where(RNG.random(SCORES.shape) < 0.1, -1, SCORES > 0),
    "regression": SCORES[:, :2],
}
SOLVERS = ("adam", "adamw", "sgd", "rmsprop", "adagrad", "lbfgs")


def estimator(target="binary", **parameters):
    kind = MLPRegressor if target == "regression" else MLPClassifier
    defaults = {"hidden_units": (16, 8), "n_epochs": 20, "batch_size": 32, "random_state": 0, "builder": "keras"}
    return kind(**defaults | parameters)


def curves(target, sparse=False, **parameters):
    x = scipy.sparse.csr_array(X) if sparse else X
    both = [estimator(target, builder=b, **parameters).fit(x, TARGETS[target]).loss_curve_ for b in ("tf", "keras")]
    return [np.array(curve) for curve in both]


@dataclass(frozen=True)
class Scaled(Layer):
    """A layer of a stranger's, without a form of its own in Keras: a factor a feature, and noise."""

    rate: float | None = None

    traits = Traits(scalars=("rate",), random=True)

    def bind(self, values):
        return super().bind({"rate": values["rate"] or 0.0})

    def weights(self, n_inputs):
        return {"factor": Weight((n_inputs,), "ones")}

    def forward(self, ops, x, weights, context):
        if context.training:
            keep = ops.uniform(ops.shape(x), context.seed, x.dtype) >= context.scalars["rate"]
            x = ops.where(keep, x, ops.zeros_like(x))
        return ops.relu(x) * weights["factor"]


# --- the same as the other builder


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-4), ("float64", 1e-9)])
def test_losses_are_the_other_builders(target, sparse, dtype, bound):
    a, b = curves(target, sparse, dtype=dtype)
    np.testing.assert_allclose(b, a, rtol=bound)


@pytest.mark.parametrize("solver", SOLVERS)
def test_losses_are_the_other_builders_with_every_solver(solver):
    a, b = curves("multiclass", solver=solver, dtype="float64", weight_decay=1e-2)
    np.testing.assert_allclose(b, a, rtol=1e-9)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("parameters", [
    {"dropout": 0.3, "dtype": "float64"},
    # Keras draws alpha dropout in float32 always
    {"dropout": 0.3, "dtype": "float32", "activation": "selu"},
    {"dropout": 0.3, "dtype": "float64", "block": ("affine", Scaled())},
], ids=["dropout", "alpha-dropout", "stranger"])  # fmt: skip
def test_masks_are_the_other_builders(sparse, parameters):
    a, b = curves("multiclass", sparse, **parameters)
    np.testing.assert_allclose(b, a, rtol=1e-9 if parameters["dtype"] == "float64" else 1e-4)
    x = scipy.sparse.csr_array(X) if sparse else X
    without = estimator("multiclass", **parameters | {"dropout": None, "n_epochs": 1}).fit(x, TARGETS["multiclass"])
    assert abs(b[0] - without.loss_curve_[0]) > 1e-3


@pytest.mark.parametrize("target", TARGETS)
def test_weights_move_between_builders(target):
    fitted = estimator(target, dropout=0.2, n_epochs=3).fit(X, TARGETS[target])
    expected = fitted.predict(X)
    scores = scores_of(fitted, X)
    fitted.set_params(builder="tf")
    np.testing.assert_array_equal(fitted.predict(X), expected)
    np.testing.assert_allclose(scores_of(fitted, X), scores, atol=1e-5)


def test_trains_on_where_the_other_builder_stopped():
    a = estimator(n_epochs=2).fit(X, TARGETS["binary"]).set_params(builder="tf").partial_fit(X, TARGETS["binary"])
    b = estimator(n_epochs=2, builder="tf").fit(X, TARGETS["binary"]).partial_fit(X, TARGETS["binary"])
    np.testing.assert_allclose(a.loss_curve_, b.loss_curve_, rtol=1e-6)


# --- what a Keras user expects


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", TARGETS)
def test_model_is_a_keras_model(target, dtype, tmp_path):
    fitted = estimator(target, dropout=0.2, n_epochs=2, dtype=dtype).fit(X, TARGETS[target])
    model = fitted.model_
    names = [layer.name for layer in model.layers]
    hidden = [f"hidden{i}_{layer}" for i in (1, 2) for layer in ("dropout", "affine", "activation")]
    assert names[1:9] == [*hidden, "output_dropout", "output_affine"]
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)
    assert {layer.compute_dtype for layer in model.layers[1:]} == {dtype}
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert "hidden1_affine (Dense)" in "\n".join(lines)

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    predictions = model.predict(X, verbose=0)
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), predictions)
    if target == "regression":
        # in the user's units, and not in those that the network is trained on
        np.testing.assert_allclose(predictions, fitted.predict(X), rtol=1e-5, atol=1e-5)
    else:
        probabilities = fitted.predict_proba(X)
        shown = probabilities[:, 1:] if target == "binary" else probabilities
        np.testing.assert_allclose(predictions, shown, atol=1e-6)


def test_model_belongs_to_whoever_asked_for_it():
    fitted = estimator(n_epochs=2).fit(X, TARGETS["binary"])
    expected = fitted.predict_proba(X)
    first, second = fitted.model_, fitted.model_
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    first.compile("sgd", "binary_crossentropy")
    first.fit(X, TARGETS["binary"], epochs=2, verbose=0)
    assert not np.array_equal(first.get_weights()[0], second.get_weights()[0])
    np.testing.assert_array_equal(fitted.predict_proba(X), expected)


def test_keras_is_left_as_it_was():
    random.seed(3)
    python, numpy = random.getstate(), np.random.get_state()[1].copy()
    policy = keras.config.dtype_policy()
    estimator(n_epochs=1, dropout=0.35, hidden_units=(7,)).fit(X, TARGETS["binary"]).model_  # noqa: B018
    assert random.getstate() == python
    np.testing.assert_array_equal(np.random.get_state()[1], numpy)
    assert keras.config.dtype_policy() is policy


def test_layer_without_a_native_form(tmp_path):
    fitted = estimator(block=("affine", Scaled(0.2)), n_epochs=2).fit(X, TARGETS["binary"])
    model = fitted.model_
    assert "hidden1_scaled" in [layer.name for layer in model.layers]
    np.testing.assert_allclose(model.predict(X, verbose=0), fitted.predict_proba(X)[:, 1:], atol=1e-6)
    assert "hidden1.scaled.factor" in state_of(fitted).weights
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_file_names_no_class_that_is_not_imported():
    from ffnn.builders.keras import NetworkLayer

    config = NetworkLayer(Scaled(0.2), 3).get_config()
    config["wrapped"]["of"] = "antigravity:Scaled"
    with pytest.raises(ValueError, match="Import antigravity before loading it"):
        NetworkLayer.from_config(config)
    assert "antigravity" not in sys.modules


@dataclass(frozen=True)
class Wrong(Layer):
    """A layer whose native form has other variables than it says."""

    def forward(self, ops, x, weights, context):
        return x

    def to_keras(self, keras, x, name, dtype):
        return keras.layers.BatchNormalization(name=name, dtype=dtype)(x)


def test_native_form_with_other_variables_is_refused():
    with pytest.raises(TypeError, match=r"Wrong \(hidden1.wrong\).*shapes.*Let to_keras return NotImplemented"):
        estimator(block=("affine", Wrong()), n_epochs=1).fit(X, TARGETS["binary"])


# --- state, threads, memory


@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy], ids=["pickle", "deepcopy"])
def test_resumed_run_equals_an_uninterrupted_one(copied):
    def run(interrupted):
        fitted = estimator(dropout=0.3)
        for _ in range(4):
            fitted.partial_fit(X, TARGETS["multiclass"], classes=range(4))
            fitted = copied(fitted) if interrupted else fitted
        return fitted

    a, b = run(False), run(True)
    assert a.loss_curve_ == b.loss_curve_
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))


def test_threads_do_not_meet():
    def fit(seed):
        fitted = estimator("multiclass", dropout=0.2, random_state=seed, n_epochs=5).fit(X, TARGETS["multiclass"])
        return fitted.loss_curve_, fitted.predict_proba(X), fitted.model_.get_weights()

    alone = [fit(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fit, range(4)))
    for a, b in zip(alone, together, strict=True):
        assert a[0] == b[0]
        np.testing.assert_array_equal(a[1], b[1])
        for one, other in zip(a[2], b[2], strict=True):
            np.testing.assert_array_equal(one, other)


def test_threads_may_be_the_first_of_their_architecture():
    def fit(seed):
        return estimator("multiclass", hidden_units=(11,), random_state=seed, n_epochs=3).fit(X, TARGETS["multiclass"])

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(fit, range(4)))
    assert [e.loss_curve_ for e in together] == [fit(seed).loss_curve_ for seed in range(4)]


def test_memory_does_not_grow():
    # wide: a template that kept its own values, or a model left behind, would show
    wide = RNG.normal(size=(64, 5000)).astype("float32")
    y = (wide[:, 0] > 0).astype(int)
    for i in range(50):
        estimator(hidden_units=(32,), n_epochs=1, random_state=i, dtype="float32").fit(wide, y)
        if i == 4:
            before = psutil.Process().memory_info().rss
    assert psutil.Process().memory_info().rss - before < 50e6


def test_constructing_imports_no_engine():
    code = (
        "import sys; from ffnn.builders.keras import KerasBuilder; import ffnn\n"
        "repr(ffnn.MLPClassifier(builder=KerasBuilder())), ffnn.MLPClassifier(builder='keras')\n"
        "sys.exit(bool({'keras', 'tensorflow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
