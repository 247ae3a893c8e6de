"""Private names of other libraries are in the ``_private.py`` of a package, and what lacks there has a fallback."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from sklearn.metrics import get_scorer

from ffnn import MLPClassifier
from ffnn._utils import _private as sklearn_private

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("ffnn/**/*.py"), *ROOT.glob("ffnn_plugins/**/*.py")])
OURS = {"ffnn", "ffnn_plugins", "__future__"}

#: Every private name of another library that ffnn uses, by its module: a new version that lacks one fails here.
NAMES = {
    "joblib._parallel_backends": ["FallbackToBackend", "ParallelBackendBase", "SequentialBackend"],
    "sklearn.model_selection._search": ["BaseSearchCV"],
    "sklearn.model_selection._validation": ["_fit_and_score"],
    "sklearn.utils": ["_safe_indexing"],
    "sklearn.utils.parallel": ["_FuncWrapper"],
    "sklearn.utils.validation": ["_check_sample_weight", "_check_y", "_num_features", "_num_samples"],
    "keras": ["Layer._flatten_layers"],
    "tensorflow.python.eager.context": ["Context.clear_kernel_cache", "context", "function_executor_type"],
    "skl2onnx._parse": ["_parse_sklearn_simple_model"],
}


def test_private_names_are_imported_in_private_modules_alone():
    offenders = []
    for path in SOURCES:
        if path.name == "_private.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or str(node.module).partition(".")[0] in OURS:
                continue
            parts = [*str(node.module).split("."), *(alias.name for alias in node.names)]
            if any(part.startswith("_") for part in parts) or str(node.module).startswith("tensorflow.python"):
                offenders.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    assert not offenders, "\n".join(offenders)


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in NAMES.items() for name in names])
def test_the_name_is_there(module, name):
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    assert found is not None


def test_the_private_attributes_of_objects_are_there():
    import keras

    assert keras.random.SeedGenerator(3)._initial_seed == 3
    assert keras.Variable(1.0)._value is not None
    assert keras.callbacks.Callback().on_epoch_begin._is_default
    assert hasattr(keras.callbacks.Callback(), "_model")
    assert keras.callbacks.TensorBoard(profile_batch=(2, 4))._start_batch == 2
    assert get_scorer("accuracy")._accept_sample_weight()
    sklearn_estimator = MLPClassifier()
    sklearn_estimator._metadata_request = sklearn_estimator._get_metadata_request()
    assert "fit" in sklearn_estimator._metadata_request._serialize()
    distributed = pytest.importorskip("distributed")
    assert "_asynchronous" in distributed.Client.__init__.__code__.co_names


@pytest.fixture
def without_sklearns(monkeypatch):
    monkeypatch.setattr(sklearn_private, "_find", lambda name: None)


def test_without_scikit_learns_private_names_fits_are_the_same(without_sklearns, monkeypatch):
    rng = np.random.default_rng(0)
    X, y, weight = rng.normal(size=(60, 4)), rng.integers(0, 3, 60), rng.uniform(0.5, 2, 60)
    arguments = {"hidden_units": (4,), "n_epochs": 3, "random_state": 0}
    fits = [MLPClassifier(**arguments, early_stopping=True).fit(X, y, weight)]
    fits += [MLPClassifier(**arguments).fit(X[:50], y[:50], X_val=X[50:], y_val=y[50:])]
    monkeypatch.undo()
    expected = [MLPClassifier(**arguments, early_stopping=True).fit(X, y, weight)]
    expected += [MLPClassifier(**arguments).fit(X[:50], y[:50], X_val=X[50:], y_val=y[50:])]
    for one, other in zip(fits, expected, strict=True):
        assert one.loss_curve_ == other.loss_curve_
        assert one.validation_loss_curve_ == other.validation_loss_curve_


@pytest.mark.parametrize(("weight", "message"), [([1.0], "expected"), ([1.0, -1.0, 1.0], "Negative")])
def test_without_scikit_learns_check_weights_are_still_checked(without_sklearns, weight, message):
    with pytest.raises(ValueError, match=message):
        sklearn_private.check_sample_weight(weight, np.eye(3))


def test_without_safe_indexing_rows_are_taken_of_every_kind(without_sklearns):
    pandas = pytest.importorskip("pandas")
    rows, X = np.array([2, 0]), np.arange(6.0).reshape(3, 2)
    for kind in (X, scipy.sparse.csr_array(X), pandas.DataFrame(X)):
        taken = sklearn_private.safe_indexing(kind, rows)
        taken = taken.toarray() if scipy.sparse.issparse(taken) else np.asarray(taken)
        np.testing.assert_array_equal(taken, X[rows])
    assert sklearn_private.safe_indexing(["a", "b", "c"], rows) == ["c", "a"]


def test_a_scorer_of_ones_own_says_by_its_parameters_whether_it_weights_samples():
    assert sklearn_private.accepts_sample_weight(lambda estimator, X, y, sample_weight=None: 0.0)
    assert not sklearn_private.accepts_sample_weight(lambda estimator, X, y: 0.0)


def test_without_skl2onnxs_parser_the_remedy_is_named(monkeypatch):
    parse = pytest.importorskip("skl2onnx._parse")
    from ffnn.exceptions import ExportError
    from ffnn.onnx._private import parse_simple_model

    monkeypatch.delattr(parse, "_parse_sklearn_simple_model")
    with pytest.raises(ExportError, match="does not work with skl2onnx .*format='savedmodel'"):
        parse_simple_model(None, None, None, None)


def test_without_keras_names_layers_are_found_by_public_ones():
    import keras

    from ffnn.builders._keras._private import all_layers

    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model = keras.Sequential([keras.Input((3,)), inner, keras.layers.Dense(1)])
    expected = {layer.name for layer in all_layers(model)}

    class Public:
        name, layers = model.name, model.layers

    found = {layer.name for layer in all_layers(Public())}
    assert {layer.name for layer in (inner, *inner.layers, *model.layers)} <= found <= expected
