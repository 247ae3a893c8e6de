"""What is exported gives what the estimator gives, in every format, for every output, layer and input."""

from __future__ import annotations

import functools
import subprocess
import sys

import keras
import numpy as np
import onnxruntime
import pytest
import scipy.sparse
import tensorflow as tf
from sklearn.datasets import load_iris

import ffnn
from ffnn import KerasBuilder, MLPClassifier, MLPRegressor
from ffnn_plugins.inputs.plr import PLRInput
from ffnn_plugins.layers.activation import Activation
from ffnn_plugins.layers.batch_norm import BatchNorm
from ffnn_plugins.layers.residual import Residual
from ffnn_plugins.outputs.regression import RegressionOutput

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
MULTI = np.column_stack([X[:, 0] > 5.8, X[:, 1] > 3, Y == 0]).astype(int)
SECONDS = 1.7e9 + 100 * X[:, :2]

#: Rounding differs from engine to engine, and by the number of rows that are computed together.
TOLERANCE = {"float32": {"rtol": 1e-5, "atol": 1e-6}, "float64": {"rtol": 1e-10, "atol": 1e-12}}


def fit(kind=MLPClassifier, y=NAMES, X=X, **parameters):
    settings = {"hidden_units": (8, 6), "n_epochs": 3, "dropout": 0.2, "random_state": 0, "dtype": "float32"}
    return kind(**{**settings, **parameters}).fit(X, y)


def run_onnx(path, X):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    kinds = {"tensor(float)": "float32", "tensor(double)": "float64"}
    (only,) = session.get_inputs()
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {only.name: np.asarray(X, dtype=kinds[only.type])}), strict=True))


def run_savedmodel(path, X):
    signature = tf.saved_model.load(path).signatures["serving_default"]
    _, inputs = signature.structured_input_signature
    results = signature(X=tf.constant(X, inputs["X"].dtype))
    return {name: plain(value) for name, value in results.items()}


def plain(tensor):
    array = tensor.numpy()
    return np.char.decode(array.astype(bytes)) if array.dtype == object else array


RUN = {"onnx": run_onnx, "savedmodel": run_savedmodel}


def check(estimator, path, format, X=X, tolerance=None):
    """Assert that what is exported gives what the estimator gives."""
    ffnn.export(estimator, path, format)
    results = RUN[format](str(path), X)
    tolerance = tolerance or TOLERANCE[estimator.network_.dtype]
    if isinstance(estimator, MLPRegressor):
        assert list(results) == ["value"]
        assert results["value"].dtype == np.float64
        expected = estimator.predict(X)
        assert results["value"].shape == expected.shape
        np.testing.assert_allclose(results["value"], expected, **tolerance)
        return
    assert sorted(results) == ["label", "probabilities"]
    np.testing.assert_array_equal(results["label"], estimator.predict(X))
    np.testing.assert_allclose(results["probabilities"], estimator.predict_proba(X), **tolerance)


CASES = {
    "binary": lambda: fit(y=Y > 0),
    "two strings": lambda: fit(y=np.where(Y > 0, "other", "sétosa")),
    "multiclass": lambda: fit(),
    "integers": lambda: fit(y=Y * 10 - 3),
    "objects": lambda: fit(y=NAMES.astype(object)),
    "float classes": lambda: fit(y=Y.astype(float)),
    "float64": lambda: fit(dtype="float64"),
    "multilabel": lambda: fit(y=MULTI),
    "one target": lambda: fit(MLPRegressor, X[:, 0]),
    "several targets": lambda: fit(MLPRegressor, SECONDS),
    "counts": lambda: fit(MLPRegressor, Y, output_layer=RegressionOutput("poisson")),
    "sparse": lambda: fit(X=scipy.sparse.csr_array(X)),
    "linear": lambda: fit(hidden_units=()),
    "keras": lambda: fit(builder="keras"),
}


@functools.cache
def fitted(case):
    """Return the estimator of a case, or of a network, which all formats share."""
    return CASES[case]() if case in CASES else fit(**NETWORKS[case])


@pytest.mark.parametrize("format", RUN)
@pytest.mark.parametrize("case", CASES)
def test_it_gives_what_the_estimator_gives(case, format, tmp_path):
    check(fitted(case), tmp_path / "model", format)


ACTIVATIONS = ("elu", "gelu", "leaky_relu", "mish", "selu", "sigmoid", "silu", "softplus", "tanh")
NETWORKS = {
    **{f"activations-{dtype}": {"block": [part for name in ACTIVATIONS for part in ("affine", Activation(name))],
                                "hidden_units": (8,), "dtype": dtype} for dtype in ("float32", "float64")},
    "layers": {"block": ("layer_norm", BatchNorm(), "gaussian_noise", "affine", "prelu", "alpha_dropout")},
    "layers-float64": {"block": ("layer_norm", BatchNorm(), "affine", "prelu"), "dtype": "float64"},
    "residual": {"block": (Residual(("batch_norm", "dropout", "affine", Residual(("affine", "activation")))),)},
    "scaled-ntk": {"input_layer": "scaled", "block": ("ntk_affine", "activation")},
    "plr": {"input_layer": PLRInput(n_frequencies=3, n_dims=4, sigma=0.3)},
    "plr-lite-float64": {"input_layer": PLRInput(3, 0.3, 4, lite=True), "dtype": "float64"},
}  # fmt: skip


@pytest.mark.parametrize("format", RUN)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_layer_is_exported(network, format, tmp_path):
    # onnxruntime has the error function of gelu in float32 alone
    tolerance = TOLERANCE["float32"] if network == "activations-float64" else None
    check(fitted(network), tmp_path / "model", format, tolerance=tolerance)


#: Networks with a layer that Keras does not have, or rounds.
NOT_KERAS = ("activations-float64", "scaled-ntk")


def keras_values(path, X):
    return keras.models.load_model(path).predict(X, verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("network", [name for name in NETWORKS if name not in NOT_KERAS])
def test_a_keras_file_has_every_layer(network, tmp_path):
    estimator = fitted(network)
    ffnn.export(estimator, tmp_path / "model.keras")
    # Keras's predict takes X in float32
    np.testing.assert_allclose(
        keras_values(tmp_path / "model.keras", X), estimator.predict_proba(X), **TOLERANCE["float32"]
    )


@pytest.mark.slow
def test_a_keras_file_ends_in_what_its_user_calls_a_prediction(tmp_path):
    path = tmp_path / "model.keras"
    for case, column in {"binary": [1], "multiclass": slice(None), "multilabel": slice(None)}.items():
        estimator = fitted(case)
        ffnn.export(estimator, path)
        np.testing.assert_allclose(keras_values(path, X), estimator.predict_proba(X)[:, column], rtol=1e-5, atol=1e-6)
    for case in ("several targets", "counts"):
        estimator = fitted(case)
        ffnn.export(estimator, path)
        expected = estimator.predict(X).reshape(len(X), -1)
        np.testing.assert_allclose(keras_values(path, X), expected, rtol=1e-5)


def test_half_the_digits_are_exported_as_all_of_them(tmp_path):
    estimator = fit(dtype="mixed_bfloat16")
    check(estimator, tmp_path / "model.onnx", "onnx", tolerance={"atol": 0.02})
    check(estimator, tmp_path / "model", "savedmodel", tolerance={"atol": 0.02})
    ffnn.export(estimator, tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    np.testing.assert_allclose(model.predict(X, verbose=0), estimator.predict_proba(X), atol=0.02)


@pytest.mark.slow
def test_either_builder_gives_the_same_model(tmp_path):
    for builder in ("tf", "keras"):
        ffnn.export(fit(dropout=None, builder=builder).set_params(builder="tf"), tmp_path / f"{builder}.keras")
        ffnn.export(fit(dropout=None, builder=builder), tmp_path / f"{builder}.onnx")
    for suffix in ("keras", "onnx"):
        models = [tmp_path / f"{builder}.{suffix}" for builder in ("tf", "keras")]
        results = [keras_values(m, X) if suffix == "keras" else run_onnx(m, X)["probabilities"] for m in models]
        np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6)


WITHOUT_FFNN = """
import sys
sys.modules["ffnn"] = sys.modules["ffnn_plugins"] = None  # an import would raise
import keras, numpy as np, tensorflow as tf
x = np.load("x.npy").astype("float32")
results = tf.saved_model.load("model").signatures["serving_default"](X=tf.constant(x))
np.save("label.npy", results["label"].numpy().astype(str))
np.save("probabilities.npy", results["probabilities"].numpy())
np.save("keras.npy", keras.models.load_model("model.keras").predict(x, verbose=0))
"""


@pytest.mark.slow
def test_another_process_needs_no_ffnn(tmp_path):
    estimator = fit(input_layer=PLRInput(3, 0.3, 4), block=(Residual(("batch_norm", "affine", "prelu")),))
    np.save(tmp_path / "x.npy", X)
    ffnn.export(estimator, tmp_path / "model")
    ffnn.export(estimator, tmp_path / "model.keras")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_FFNN], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    expected = estimator.predict_proba(X)
    np.testing.assert_array_equal(np.load(tmp_path / "label.npy"), estimator.predict(X))
    np.testing.assert_allclose(np.load(tmp_path / "probabilities.npy"), expected, **TOLERANCE["float32"])
    np.testing.assert_allclose(np.load(tmp_path / "keras.npy"), expected, **TOLERANCE["float32"])


def test_a_savedmodel_of_sparse_rows_takes_them_as_they_are(tmp_path):
    sparse = scipy.sparse.csr_array(np.where(X > 3, X, 0))
    estimator = fit(X=sparse)
    ffnn.export(estimator, tmp_path / "model")
    arguments = {"indptr": sparse.indptr, "indices": sparse.indices, "data": sparse.data}
    signature = tf.saved_model.load(str(tmp_path / "model")).signatures["csr"]
    _, specs = signature.structured_input_signature
    results = signature(**{name: tf.constant(value, specs[name].dtype) for name, value in arguments.items()})
    np.testing.assert_array_equal(plain(results["label"]), estimator.predict(sparse))
    np.testing.assert_allclose(results["probabilities"], estimator.predict_proba(sparse), **TOLERANCE["float32"])


@pytest.mark.parametrize("format", RUN)
def test_the_input_has_the_dtype_of_the_rows_that_are_given(format, tmp_path):
    estimator = fit()
    ffnn.export(estimator, tmp_path / "model", format, X=X[:2])
    if format == "onnx":
        session = onnxruntime.InferenceSession(tmp_path / "model", providers=["CPUExecutionProvider"])
        label, _ = session.run(None, {"X": X})
    else:
        label = plain(tf.saved_model.load(str(tmp_path / "model"))(X)["label"])
    np.testing.assert_array_equal(label, estimator.predict(X))


def own_model(network):
    x = keras.Input((network.n_features,))
    y = keras.layers.Dense(5, activation="relu")(x)
    return keras.Model(x, keras.layers.Dense(network.n_outputs, activation=network.output.activation)(y))


def test_a_keras_model_of_the_users(tmp_path):
    estimator = fit(builder=KerasBuilder(build=own_model))
    check(estimator, tmp_path / "model", "savedmodel")
    ffnn.export(estimator, tmp_path / "model.keras")
    np.testing.assert_allclose(
        keras_values(tmp_path / "model.keras", X), estimator.predict_proba(X), **TOLERANCE["float32"]
    )
    with pytest.raises(ffnn.exceptions.ExportError, match="made by the builder.*format='savedmodel'"):
        ffnn.export(estimator, tmp_path / "model.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.keras"]
