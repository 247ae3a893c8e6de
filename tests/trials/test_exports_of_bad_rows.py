"""NaN, infinity and no rows in exported models, and arguments of export, save and load that cannot be right."""

from __future__ import annotations

import os
import resource
import tempfile

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ffnn
from ffnn import MLPClassifier, MLPRegressor

X, Y = load_iris(return_X_y=True)
TARGETS = {
    "binary": Y > 0,
    "multiclass": np.array(["a", "b", "c"])[Y],
    "multilabel": np.column_stack([Y > 0, Y > 1]).astype(int),
    "regression": X[:, 0],
}
BAD = X[:5].astype(np.float32)
BAD[1, 2], BAD[2, 0], BAD[3, 1] = np.nan, np.inf, -np.inf
GOOD = [0, 4]
SMALL = {"hidden_units": (4,), "n_epochs": 1, "dtype": "float32", "random_state": 0}


def mlp(target="multiclass", **parameters):
    kind = MLPRegressor if target == "regression" else MLPClassifier
    return kind(**{**SMALL, **parameters})


@pytest.fixture(scope="module")
def fitted():
    return mlp().fit(X, TARGETS["multiclass"])


def onnx_numbers(path, rows):
    """Return the probabilities or values that an ONNX model gives."""
    return onnxruntime.InferenceSession(path).run(None, {"X": rows})[-1]


@pytest.mark.parametrize("target", TARGETS)
def test_rows_that_are_not_finite_get_no_number_of_a_model(target, tmp_path):
    estimator = mlp(target).fit(X, TARGETS[target])
    with pytest.raises(ValueError, match="NaN"):
        estimator.predict(BAD)
    ffnn.export(estimator, tmp_path / "model.onnx")
    numbers = onnx_numbers(tmp_path / "model.onnx", BAD)
    expected = estimator.predict(BAD[GOOD]) if target == "regression" else estimator.predict_proba(BAD[GOOD])
    np.testing.assert_allclose(numbers[GOOD], expected, rtol=1e-5)
    assert np.isnan(numbers[1:4]).all()
    assert len(onnx_numbers(tmp_path / "model.onnx", BAD[:0])) == 0
    ffnn.export(estimator, tmp_path / "model")
    model = tf.saved_model.load(str(tmp_path / "model"))
    for row in (1, 2, 3):
        with pytest.raises(tf.errors.InvalidArgumentError, match="X: expected finite numbers"):
            model(BAD[row : row + 1])
    assert len(next(iter(model(BAD[:0]).values()))) == 0


def test_stored_entries_that_are_not_finite_are_refused(tmp_path):
    estimator = mlp().fit(scipy.sparse.csr_array(X), Y)
    ffnn.export(estimator, tmp_path / "model")
    model = tf.saved_model.load(str(tmp_path / "model"))
    rows = scipy.sparse.csr_array(BAD)
    arrays = {name: tf.constant(getattr(rows, name).astype("int32")) for name in ("indptr", "indices")}
    with pytest.raises(tf.errors.InvalidArgumentError, match="X: expected finite numbers"):
        model.signatures["csr"](data=tf.constant(rows.data), **arrays)


def test_onnxruntime_needs_a_row_of_text_as_the_docs_say(tmp_path):
    texts = np.array(["ab cd", "cd ef", "ef gh"] * 4)
    pipeline = make_pipeline(TfidfVectorizer(), mlp()).fit(texts, np.arange(12) % 3)
    ffnn.export(pipeline, tmp_path / "model.onnx", X=texts)
    assert onnx_numbers(tmp_path / "model.onnx", texts[:1].astype(object)).shape == (1, 3)
    with pytest.raises(Exception, match="Single dimension value must be greater than 0"):
        onnx_numbers(tmp_path / "model.onnx", texts[:0].astype(object))


# --- X of another kind


WRONG = {
    "too narrow": (X[:3, :2], ValueError, r"X has the shape \(3, 2\); expected \(n_rows, 4\).*fitted to 4 features"),
    "one row alone": (X[0], ValueError, r"X has the shape \(4,\); expected \(n_rows, 4\)"),
    "three axes": (X[None], ValueError, r"X has the shape \(1, 150, 4\)"),
    "a wide frame": (pd.DataFrame(np.zeros((2, 5))), ValueError, r"X has the shape \(2, 5\)"),
    "sparse": (scipy.sparse.csr_array((2, 7)), ValueError, r"X has the shape \(2, 7\)"),
    "ragged": ([[1, 2], [3]], ValueError, "X: expected rows of one length; got a list"),
    "a text": ("abc", TypeError, "X: expected rows as MLPClassifier was fitted to; got 'abc'"),
    "an object": ({"a": 1}, TypeError, "X: expected rows"),
    "complex": (X.astype(complex), TypeError, "X has the dtype complex128; expected numbers"),
    "texts": ([["a", "b", "c", "d"]], TypeError, "X has the dtype <U1; expected numbers"),
}


@pytest.mark.parametrize("name", WRONG)
def test_rows_of_another_kind_are_named(name, fitted, tmp_path):
    rows, error, message = WRONG[name]
    for path in ("model.onnx", "model", "model.keras"):
        with pytest.raises(error, match=message) as caught:
            ffnn.export(fitted, tmp_path / path, X=rows)
        assert "leave X out" in str(caught.value) or "Leave X out" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_pipeline_and_a_frame_are_held_to_what_they_were_fitted_to(tmp_path):
    frame = pd.DataFrame(X, columns=list("abcd"))
    pipeline = make_pipeline(StandardScaler(), mlp()).fit(frame, Y)
    for estimator in (pipeline, mlp().fit(frame, Y)):
        with pytest.raises(ValueError, match=r"X has the columns \['b', 'a', 'c', 'd'\]; expected \['a', 'b'"):
            ffnn.export(estimator, tmp_path / "model.onnx", X=frame[list("bacd")])
    with pytest.raises(ValueError, match=r"X has the shape \(150, 3\).*StandardScaler was fitted to 4"):
        ffnn.export(pipeline, tmp_path / "model.onnx", X=frame[list("abc")])
    ffnn.export(pipeline, tmp_path / "model.onnx", X=frame.astype("float32"))


# --- places


@pytest.mark.parametrize("write", [lambda e, path: ffnn.save(e, path), lambda e, path: ffnn.export(e, path, "onnx")])
def test_places_that_cannot_be_written_to_are_named(write, fitted, tmp_path):
    with pytest.raises(ValueError, match=r"path='a\\x00b': .*null character"):
        write(fitted, "a\0b")
    with pytest.raises(OSError, match="File name too long: .*nnn'"):
        write(fitted, tmp_path / ("n" * 300))
    with tempfile.TemporaryDirectory() as closed:  # another user cannot reach tmp_path
        os.chmod(closed, 0o555)
        user = os.geteuid()
        try:
            if user == 0:
                os.seteuid(65534)
            with pytest.raises(PermissionError, match=f"Permission denied: '{closed}/model'"):
                write(fitted, f"{closed}/model")
        finally:
            os.seteuid(user)


def test_a_disk_that_is_full_keeps_what_was_there(fitted, tmp_path):
    path = tmp_path / "model"
    ffnn.save(MLPClassifier(), path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, hard))
    try:
        with pytest.raises(OSError, match=f"File too large: '{path}'"):
            ffnn.save(fitted, path)
        with pytest.raises(OSError, match=f"File too large: '{path}'"):
            ffnn.export(fitted, path, "onnx")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["model"]


def test_formats_that_are_none(fitted, tmp_path):
    for format in (3, ["onnx"], "ONNX"):
        with pytest.raises(ValueError, match="format="):
            ffnn.export(fitted, tmp_path / "model.onnx", format)
    with pytest.raises(ValueError, match=r"path='a\\x00b': .*null character"):
        ffnn.load("a\0b")
