"""What cannot be exported is refused with the remedy, and a failing export leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import ffnn
from ffnn import MLPClassifier, MLPRegressor
from ffnn.exceptions import EngineNotInstalledError, ExportError
from ffnn.output import Output
from ffnn_plugins.outputs.regression import RegressionOutput

X, Y = load_iris(return_X_y=True)


def mlp(kind=MLPClassifier, **parameters):
    return kind(**{"hidden_units": (4,), "n_epochs": 1, "random_state": 0, "dtype": "float32", **parameters})


@pytest.fixture(scope="module")
def fitted():
    return mlp().fit(X, Y)


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (mlp(), NotFittedError, "not fitted.*Call fit first"),
        (make_pipeline(mlp()), NotFittedError, "not fitted"),
        (GridSearchCV(mlp(), {}), NotFittedError, "not fitted"),
        (MLPClassifier, TypeError, "the class MLPClassifier.*Give an instance"),
        (LogisticRegression().fit(X, Y), ExportError, "expected a fitted MLPClassifier.*got a LogisticRegression"),
        ("model.onnx", TypeError, "estimator comes first"),
        (3, TypeError, "got builtins.int"),
    ],
)
def test_what_is_no_fitted_estimator(estimator, error, message, tmp_path):
    with pytest.raises(error, match=message):
        ffnn.export(estimator, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("model.pmml",), ValueError, "suffix '.pmml' names no format.*Expected .onnx, .keras"),
        (("model", "onx"), ValueError, "format='onx' is not known. Did you mean 'onnx'"),
        (("model.h5", "keras"), ValueError, "end in .keras"),
        (("folder", "onnx"), IsADirectoryError, "is a folder.*model.onnx"),
        (("folder",), FileExistsError, "would be lost"),
        (("file",), FileExistsError, "a SavedModel is a folder"),
        (("nowhere/model.onnx",), FileNotFoundError, "Make it first"),
    ],
)
def test_a_place_or_format_that_cannot_be(arguments, error, message, fitted, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(error, match=message):
        ffnn.export(fitted, tmp_path / arguments[0], *arguments[1:])
    with pytest.raises(TypeError, match="path=3"):
        ffnn.export(fitted, 3)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder", "mine.txt"]


@pytest.mark.parametrize("name", ["model.onnx", "model.keras", "model"])
def test_what_is_there_is_replaced_whole_or_not_at_all(name, fitted, tmp_path, monkeypatch):
    path = tmp_path / name
    ffnn.export(fitted, path)
    ffnn.export(mlp().fit(X, Y > 0), path)

    def contents():
        return {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    before = contents()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        ffnn.export(fitted, path)
    assert contents() == before
    assert [p.name for p in tmp_path.iterdir()] == [name]


def full(descriptor):
    raise OSError(28, "No space left on device")


def test_an_activation_of_the_engines_own(tmp_path):
    estimator = mlp(activation=tf.sin).fit(X, Y)
    ffnn.export(estimator, tmp_path / "model")
    label = tf.saved_model.load(str(tmp_path / "model"))(X.astype("float32"))["label"]
    np.testing.assert_array_equal(label, estimator.predict(X))
    with pytest.raises(ExportError, match="(?s)activation=.*format='savedmodel'"):
        ffnn.export(estimator, tmp_path / "model.onnx")
    with pytest.raises(ExportError, match="(?s)register_keras_serializable"):
        ffnn.export(estimator, tmp_path / "model.keras")
    exact = mlp(activation="gelu", dtype="float64").fit(X, Y)
    with pytest.raises(ExportError, match="Keras has no layer for Activation.*dtype='float32'"):
        ffnn.export(exact, tmp_path / "model.keras")


class Halved(RegressionOutput):
    """Says in one place alone what it does of its own."""

    def decode(self, scores):
        return super().decode(scores) / 2


class Silent(RegressionOutput):
    export = Output.export


@pytest.mark.parametrize(("output", "message"), [(Halved(), "gives another 'value'"), (Silent(), "Implement it")])
def test_an_output_that_would_be_exported_wrongly(output, message, tmp_path):
    estimator = mlp(MLPRegressor, output_layer=output).fit(X, X[:, 0])
    with pytest.raises(ExportError, match=message):
        ffnn.export(estimator, tmp_path / "model.onnx")
    ffnn.export(estimator, tmp_path / "model.keras")


def test_classes_that_other_programs_do_not_have(tmp_path):
    days = np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[D]")[Y % 2]
    with pytest.raises(ExportError, match=r"expected numbers or strings.*str\(label\)"):
        ffnn.export(mlp().fit(X, days), tmp_path / "model")


def test_rows_that_are_no_numbers(fitted, tmp_path):
    with pytest.raises(TypeError, match="expected numbers"):
        ffnn.export(fitted, tmp_path / "model", X=[["a", "b", "c", "d"]])


def test_onnx_that_is_not_installed(fitted, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r"python -m pip install 'ffnn\[onnx\]'"):
        ffnn.export(fitted, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("model", r"format='savedmodel' needs tensorflow, which is not installed\. Install it with: .*format='onnx'"),
        ("model.keras", r"format='keras': Keras runs on 'tensorflow', which is not installed\. .*KERAS_BACKEND=jax"),
    ],
)
def test_an_engine_that_is_not_installed(fitted, path, message, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    with pytest.raises(EngineNotInstalledError, match=message):
        ffnn.export(fitted, tmp_path / path)
    assert not list(tmp_path.iterdir())


def test_bad_arguments_start_no_engine():
    code = (
        "import sys, ffnn\n"
        "for e, p in ((ffnn.MLPClassifier(), 'model'), (3, 'model.onnx')):\n"
        "    try: ffnn.export(e, p)\n"
        "    except (ValueError, TypeError): pass\n"
        "print(sorted({'tensorflow', 'keras', 'onnx', 'skl2onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
