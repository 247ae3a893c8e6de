"""Saved estimators: all of it comes back, or the file stays as it was."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import scipy.sparse
import sklearn
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ffnn
from ffnn import MLPClassifier, MLPRegressor
from ffnn.exceptions import PersistenceError
from ffnn.plugins import registry
from tests.support.estimators import MULTI, NAMES, X, Y, assert_same, make, scores_of

ROOT = Path(__file__).parents[2]
TARGETS = {"binary": Y > 0, "multiclass": NAMES, "multilabel": MULTI, "regression": X[:, :2]}


def there_and_back(estimator, tmp_path):
    path = tmp_path / "estimator.any-extension"
    assert ffnn.save(estimator, path) is None
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    return ffnn.load(path)


# --- all of it comes back


@pytest.mark.parametrize("solver", registry.names("solver"))
@pytest.mark.parametrize("output", TARGETS)
def test_a_loaded_estimator_predicts_and_goes_on_as_the_saved_one(output, solver, builder, tmp_path):
    y = TARGETS[output]
    estimator = make(output, solver=solver, builder=builder, dropout=0.2, dtype="float32").fit(X, y)
    twin = there_and_back(estimator, tmp_path)
    assert_same(twin, estimator)
    np.testing.assert_array_equal(twin.predict(X), estimator.predict(X))
    np.testing.assert_array_equal(scores_of(twin, X), scores_of(estimator, X))
    if registry.load("solver", solver).stochastic:
        assert_same(twin.partial_fit(X, y), estimator.partial_fit(X, y))
        assert twin.n_iter_ == 3


def test_what_a_frame_and_a_sparse_matrix_leave_comes_back(tmp_path):
    frame = pd.DataFrame(X, columns=["länge", "b", "c", "d"])
    twin = there_and_back(make().fit(frame, NAMES), tmp_path)
    assert twin.feature_names_in_.tolist() == list(frame.columns)
    assert twin.feature_names_in_.dtype == object
    with pytest.raises(ValueError, match="feature names"):
        twin.predict(frame.rename(columns={"b": "x"}))
    sparse = scipy.sparse.csr_array(X)
    estimator = make(dtype="float64").fit(sparse, Y)
    np.testing.assert_array_equal(
        there_and_back(estimator, tmp_path).predict_proba(sparse), estimator.predict_proba(sparse)
    )


@pytest.mark.parametrize(
    "labels",
    [
        NAMES.astype(object), NAMES.astype("U40"), Y.astype(">i2"), Y.astype(np.uint8), Y > 0,
        Y.astype(float), np.array(["ein\n\"Ä\u2028", "", "\ud800"])[Y],
    ],
    ids=lambda y: y.dtype.str,
)  # fmt: skip
def test_labels_keep_their_dtype(labels, tmp_path):
    estimator = make(n_epochs=1).fit(X, labels)
    twin = there_and_back(estimator, tmp_path)
    assert twin.classes_.dtype == estimator.classes_.dtype
    assert twin.predict(X).tolist() == estimator.predict(X).tolist()


@pytest.mark.parametrize(
    "estimator",
    [
        MLPClassifier(),
        MLPRegressor(hidden_units=[7, np.int64(3)], dropout=np.float32(0.25), dtype=np.float32),
        MLPClassifier(solver=ffnn.SGD(momentum=0.5, nesterov=False), builder=ffnn.KerasBuilder(returns="scores")),
        MLPClassifier(learning_rate=float("inf"), hidden_units="no number", random_state=-1, activation=None),
    ],
    ids=range(4),
)
def test_parameters_come_back_as_they_are_right_or_wrong(estimator, tmp_path):
    twin = there_and_back(estimator, tmp_path)
    assert_same(twin, estimator)
    for name, value in estimator.get_params(deep=False).items():
        assert type(getattr(twin, name)) is type(value), name
    assert not hasattr(twin, "n_iter_")


def test_a_random_state_goes_on_where_it_was(tmp_path):
    estimator = make(random_state=np.random.RandomState(5), n_epochs=1).fit(X, Y)
    twin = there_and_back(estimator, tmp_path)
    np.testing.assert_array_equal(twin.fit(X, Y).predict_proba(X), estimator.fit(X, Y).predict_proba(X))


def test_schedules_validation_and_class_weights_come_back(tmp_path):
    estimator = make(
        learning_rate=ffnn.WarmUp(ffnn.Cosine(1e-2), n_epochs=1), early_stopping=True, class_weight={"setosa": 2.0},
        scoring="accuracy", transform_layer_index=0,
    ).fit(X, NAMES)  # fmt: skip
    twin = there_and_back(estimator, tmp_path)
    assert_same(twin, estimator)
    assert twin.validation_loss_curve_ == estimator.validation_loss_curve_
    np.testing.assert_array_equal(twin.transform(X), estimator.transform(X))
    for each in (twin, estimator):
        each.set_params(early_stopping=False).partial_fit(X, NAMES)
    assert_same(twin, estimator)


def test_a_step_wise_function_is_refused(tmp_path):
    with pytest.raises(PersistenceError, match=r"learning_rate.function=<function.*a function cannot be saved"):
        ffnn.save(make(learning_rate=ffnn.Stepwise(lambda step: 0.1)), tmp_path / "model")


def test_layers_with_parameters_come_back(tmp_path):
    from ffnn_plugins.layers.dropout import Dropout
    from ffnn_plugins.outputs.multiclass import MulticlassOutput

    block = [Dropout(rate=0.4), "affine", "activation"]
    estimator = make(block=block, output_layer=MulticlassOutput(), input_layer="sparse").fit(X, Y)
    twin = there_and_back(estimator, tmp_path)
    assert twin.block == block
    assert_same(twin.partial_fit(X, Y), estimator.partial_fit(X, Y))


def test_metadata_requests_come_back(tmp_path):
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = make().set_fit_request(sample_weight="w").set_score_request(sample_weight=False)
        twin = there_and_back(estimator, tmp_path)
        assert str(twin.get_metadata_routing()) == str(estimator.get_metadata_routing())
        assert twin.get_metadata_routing().fit.requests["sample_weight"] == "w"


@pytest.mark.slow
def test_loading_starts_no_engine(tmp_path):
    path = tmp_path / "model"
    estimator = make(dtype="float32").fit(X, NAMES)
    ffnn.save(estimator, path)
    np.save(tmp_path / "expected.npy", estimator.predict_proba(X))
    code = (
        f"import sys, ffnn, numpy; from sklearn.datasets import load_iris; estimator = ffnn.load({str(path)!r})\n"
        "assert estimator.coefs_[0].shape == (4, 6)\n"
        "assert not {'tensorflow', 'keras', 'torch', 'jax'} & set(sys.modules), 'loading started an engine'\n"
        f"expected = numpy.load({str(tmp_path / 'expected.npy')!r})\n"
        "print((estimator.predict_proba(load_iris().data) == expected).all())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.strip() == "True", done.stderr[-2000:]


def test_other_programs_can_read_the_weights(tmp_path):
    estimator = make().fit(X, Y)
    ffnn.save(estimator, tmp_path / "model.safetensors")
    arrays = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(arrays["weights/hidden1.affine.weight"], estimator.coefs_[0])


# --- what cannot be saved leaves the file as it is


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (make(activation=np.tanh), "activation=<ufunc 'tanh'>: a function cannot be saved.*activation='tanh'.*joblib"),
        (make(builder=ffnn.KerasBuilder(build=len)), "builder.build=<built-in function len>: a function cannot"),
        (make(random_state=object()), "random_state=<object.*a builtins.object cannot be saved.*set_params"),
        (make_pipeline(StandardScaler(), make()), r"got a Pipeline. Save its last step.*pipeline\[-1\].*skops"),
        (type("Mine", (MLPClassifier,), {})(), "subclass Mine.*joblib.dump"),
        (StandardScaler(), "got sklearn.preprocessing._data.StandardScaler"),
        ("model.ffnn", "the estimator comes first"),
    ],
    ids=["function", "build", "object", "pipeline", "subclass", "other", "path"],
)  # fmt: skip
def test_what_cannot_be_saved_is_refused_and_the_file_is_untouched(estimator, message, tmp_path):
    path = tmp_path / "model"
    path.write_text("what was there")
    with pytest.raises(PersistenceError, match=f"(?s){message}"):
        ffnn.save(estimator, path)
    assert path.read_text() == "what was there"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_parameter_that_contains_itself_is_refused(tmp_path):
    endless = [1]
    endless.append(endless)
    with pytest.raises(PersistenceError, match="contains itself"):
        ffnn.save(make(hidden_units=endless), tmp_path / "model")


def test_a_search_is_asked_for_its_best_estimator(tmp_path):
    search = GridSearchCV(make(n_epochs=1), {"dropout": [None]}, cv=2).fit(X, Y)
    with pytest.raises(PersistenceError, match="Save its best_estimator_"):
        ffnn.save(search, tmp_path / "model")


def test_a_class_that_is_no_plugin_is_refused(tmp_path):
    class Mine(ffnn.TensorFlowBuilder):
        pass

    with pytest.raises(PersistenceError, match=r"builder=Mine\(\).*not registered as a plugin.*Register it"):
        ffnn.save(make(builder=Mine()), tmp_path / "model")


def test_a_strangers_plugin_is_named_and_asked_for(install, tmp_path):
    source = """
from dataclasses import dataclass
from ffnn.layer import Layer
from ffnn.plugins import hookimpl

@dataclass(frozen=True)
class Scale(Layer):
    factor: float = 2.0
    def forward(self, ops, x, weights, context):
        return x * self.factor

@hookimpl
def ffnn_layers():
    return {"scale": "strange_scale:Scale"}
"""
    site = install("strange", "scale = strange_scale", strange_scale=source)
    import strange_scale

    estimator = make(block=("affine", strange_scale.Scale(0.5)), n_epochs=1).fit(X, Y)
    (tmp_path / "model").mkdir()
    twin = there_and_back(estimator, tmp_path / "model")
    assert twin.block[1] == strange_scale.Scale(0.5)
    np.testing.assert_array_equal(twin.predict_proba(X), estimator.predict_proba(X))
    (site / "strange-1.2.dist-info" / "entry_points.txt").write_text("")
    ffnn.plugins.registry.reload()
    with pytest.raises(PersistenceError, match="needs the layer 'scale'.*came from strange 1.2; install"):
        ffnn.load(tmp_path / "model" / "estimator.any-extension")


# --- places


def test_places_where_there_is_no_file(tmp_path):
    (tmp_path / "file").write_text("")
    for call in (lambda path: ffnn.save(make(), path), ffnn.load):
        with pytest.raises(IsADirectoryError, match="is a folder; name a file in it"):
            call(tmp_path)
        with pytest.raises(FileNotFoundError, match="no-such-folder"):
            call(tmp_path / "no-such-folder" / "model")
        with pytest.raises(OSError, match="model"):
            call(tmp_path / "file" / "model")
        with pytest.raises(TypeError, match="path=3: expected the name of a file"):
            call(3)


def test_a_place_that_one_may_not_write_to(tmp_path):
    user = os.geteuid()
    (tmp_path / "closed").mkdir(mode=0o555)
    try:
        if user == 0:
            os.seteuid(65534)
        with pytest.raises(PermissionError, match="Permission denied"):
            ffnn.save(make(), tmp_path / "closed" / "model")
    finally:
        os.seteuid(user)
    assert not list((tmp_path / "closed").iterdir())


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "model"
    ffnn.save(make(), path)
    before = path.read_bytes()

    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        ffnn.save(make(n_epochs=9), path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_link_and_the_mode_of_a_file_stay(tmp_path):
    path, link = tmp_path / "model", tmp_path / "link"
    path.write_text("")
    path.chmod(0o640)
    link.symlink_to(path)
    ffnn.save(make(), str(link))
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert repr(ffnn.load(path)) == repr(make())
