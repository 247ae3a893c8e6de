"""Saved estimators: all of it comes back, and a file that is not what was written is refused and runs nothing."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
import scipy.sparse
import sklearn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ffnn
from ffnn import MLPClassifier, MLPRegressor
from ffnn.exceptions import PersistenceError
from ffnn.persistence import files
from ffnn.solvers import SOLVERS
from ffnn.testing._suite import assert_states_equal

ROOT = Path(__file__).parents[2]
X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
MULTI = np.column_stack([X[:, 0] > 5.8, X[:, 1] > 3]).astype(int)
PARAMETERS = {"hidden_units": (6,), "n_epochs": 2, "random_state": 0}
TARGETS = {"binary": Y > 0, "multiclass": NAMES, "multilabel": MULTI, "regression": X[:, :2]}


def make(output="multiclass", **parameters):
    kind = MLPRegressor if output == "regression" else MLPClassifier
    return kind(**{**PARAMETERS, **parameters})


def there_and_back(estimator, tmp_path):
    path = tmp_path / "estimator.any-extension"
    assert ffnn.save(estimator, path) is None
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    return ffnn.load(path)


def assert_same(one, other):
    """Compare two estimators with all that they have learned."""
    assert type(one) is type(other)
    assert repr(one) == repr(other)
    assert one.__dict__.keys() == other.__dict__.keys()
    for name in one.__dict__.keys() - {"_fitted", "network_", *one.get_params()}:
        a, b = getattr(one, name), getattr(other, name)
        np.testing.assert_array_equal(a, b, err_msg=name)
        assert type(a) is type(b)
        assert getattr(a, "dtype", None) == getattr(b, "dtype", None)
    if hasattr(one, "_fitted"):
        assert_states_equal(one._fitted.state, other._fitted.state)
        assert one._fitted.root_seed == other._fitted.root_seed
        assert one.network_.structure() == other.network_.structure()
        np.testing.assert_array_equal(one.network_.scalars(), other.network_.scalars())


# --- all of it comes back


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("output", TARGETS)
def test_a_loaded_estimator_predicts_and_goes_on_as_the_saved_one(output, solver, builder, tmp_path):
    y = TARGETS[output]
    estimator = make(output, solver=solver, builder=builder, dropout=0.2, dtype="float32").fit(X, y)
    twin = there_and_back(estimator, tmp_path)
    assert_same(twin, estimator)
    np.testing.assert_array_equal(twin.predict(X), estimator.predict(X))
    np.testing.assert_array_equal(twin._scores(X), estimator._scores(X))
    if SOLVERS[solver].stochastic:
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
    def forward(self, ops, x, p, *, training):
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


# --- damaged files


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    ffnn.save(make(n_epochs=1, dtype="float32").fit(pd.DataFrame(X, columns=list("abcd")), NAMES), path)
    return path, path.read_bytes()


def refuse(path, data):
    broken = path.with_name("broken")
    broken.write_bytes(data)
    with pytest.raises(PersistenceError, match="broken: ") as caught:
        ffnn.load(broken)
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@MANY
@given(data=st.data())
def test_a_changed_byte_is_seen(data, saved):
    path, whole = saved
    # the header, which has most to go wrong, as often as the arrays
    end = data.draw(st.sampled_from([len(whole), int.from_bytes(whole[:8], "little") + 8, 16]))
    at = data.draw(st.integers(0, end - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    refuse(path, whole[:at] + bytes([byte]) + whole[at + 1 :])


@MANY
@given(data=st.data())
def test_a_file_cut_short_or_with_more_or_less_in_it_is_seen(data, saved):
    path, whole = saved
    start = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(start, len(whole)))
    put = data.draw(st.binary(max_size=20))
    if whole[start:end] != put:
        refuse(path, whole[:start] + put + whole[end:])
    refuse(path, whole[:start])


@MANY
@given(data=st.binary(max_size=200))
def test_any_other_bytes_are_refused(data, saved):
    refuse(saved[0], data)
    refuse(saved[0], len(data).to_bytes(8, "little") + data)


def test_a_pickle_is_told_from_a_file_of_ffnns(saved):
    assert "looks like a pickle: joblib.load reads those" in refuse(saved[0], pickle.dumps(make()))


def test_a_safetensors_file_of_others_is_refused(saved):
    assert "no file of ffnn.save" in refuse(saved[0], safetensors.numpy.save({"weights": X}))


# --- files that somebody made, with a right digest


def forge(path, change):
    """Return the file with other contents, as who knows the format would write it."""
    arrays = safetensors.numpy.load(path.read_bytes())
    with safetensors.safe_open(path, "np") as file:
        contents = json.loads(file.metadata()["ffnn"])
    contents = change(contents, arrays) or contents
    text = json.dumps(contents).replace('"DEEP"', "[" * 50_000 + "]" * 50_000)
    data = safetensors.numpy.save(arrays, {"ffnn": text, "sha256": "0" * 64})
    return data.replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + hashlib.sha256(data).hexdigest().encode())


def put(*where, value):
    def change(contents, arrays):
        target = contents
        for key in where[:-1]:
            target = target[key]
        target[where[-1]] = value

    return change


def put_array(name, array):
    return lambda contents, arrays: arrays.__setitem__(name, array)


def drop(*where):
    def change(contents, arrays):
        target = contents
        for key in where[:-1]:
            target = target[key]
        del target[where[-1]]

    return change


def plugin(kind, name, **parameters):
    return {"is": kind, "name": name, "parameters": parameters}


KERNEL = "hidden1.affine.weight"
HOSTILE = {
    "class by path": put("estimator", value="subprocess:Popen"),
    "other estimator": put("estimator", value="MLPRegressor"),
    "unhashable estimator": put("estimator", value=["MLPClassifier"]),
    "solver by path": put("parameters", "solver", value=plugin("own", "os:system")),
    "kind": put("parameters", "solver", value={"is": "reduce", "call": "os.system", "with": ["true"]}),
    "executor": put("parameters", "builder", value=plugin("executor", "multiprocessing")),
    "builder by path": put(
        "parameters", "builder", value=plugin("builder", "ffnn.builders.tensorflow:TensorFlowBuilder")
    ),
    "builder by number": put("parameters", "builder", value=plugin("builder", 7)),
    "parameter of a solver": put("parameters", "solver", value=plugin("own", "Adam", check=1)),
    "unknown parameter": put("parameters", "on_load", value="os.system('true')"),
    "method": put("attributes", "predict", value="gone"),
    "class attribute": put("attributes", "__class__", value="gone"),
    "hook": put("attributes", "__sklearn_clone__", value="gone"),
    "no identifier": put("attributes", "a b", value=1),
    "private": put("attributes", "_fitted", value=1),
    "learned method": put("fitted", "output", "learned", "decode", value="gone"),
    "learned by a solver": put("fitted", "solver", "learned", value={"n": 1}),
    "text array of gigabytes": put(
        "attributes", "x_", value={"is": "list array", "dtype": "<U999999999", "shape": [1], "items": ["x"]}
    ),
    "array of another dtype": put("attributes", "x_", value={"is": "array", "dtype": "O", "name": f"weights/{KERNEL}"}),
    "array that is not there": put("attributes", "x_", value={"is": "array", "dtype": "<f4", "name": "no"}),
    "random state": put(
        "parameters", "random_state", value={"is": "random state", "state": {"is": "dict", "items": []}}
    ),
    "nested deeply": put("attributes", "x_", value="DEEP"),
    "requests": put("requests", value={"is": "dict", "items": [["__init__", {"is": "dict", "items": [["a", True]]}]]}),
    "no stages": put("fitted", "stages", value=[]),
    "width": put("fitted", "stages", 2, "layer", "parameters", "units", value=10**18),
    "negative width": put("fitted", "n_features", value=-4),
    "layer of another kind": put("fitted", "stages", 1, "layer", value=plugin("output", "binary")),
    "unknown layer": put("fitted", "stages", 1, "layer", value=plugin("layer", "no_such_layer")),
    "output": put("fitted", "output", value=plugin("output", "regression")),
    "dtype": put("fitted", "dtype", value="object"),
    "kernel of another shape": put_array(f"weights/{KERNEL}", np.zeros((4, 7), np.float32)),
    "kernel of another dtype": put_array(f"weights/{KERNEL}", np.zeros((4, 6), np.int32)),
    "slot of another shape": put_array(f"slots/{KERNEL}/mean", np.zeros((4, 7), np.float32)),
    "slot that is gone": drop("fitted", "slots", f"{KERNEL}/mean"),
    "no weights": put("fitted", "weights", value=None),
    "step": put("fitted", "step", value=-1),
    "seed": put("fitted", "root_seed", value="0"),
    "epochs": put("attributes", "n_iter_", value="3"),
    "curve": put("attributes", "loss_curve_", value=["x"]),
    "names": put("attributes", "feature_names_in_", value=["a"]),
    "features": put("attributes", "n_features_in_", value=5),
    "no classes": drop("attributes", "classes_"),
    "nothing fitted": drop("fitted"),
    "a list": lambda contents, arrays: [contents],
    "format": put("format", value="1"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_and_runs_nothing(name, saved):
    before = set(sys.modules)
    refuse(saved[0], forge(saved[0], HOSTILE[name]))
    assert {name.partition(".")[0] for name in set(sys.modules) - before} <= {"ffnn_plugins"}


def test_a_forged_file_is_as_good_as_a_saved_one(saved):
    """The cases above differ from a good file by what they change alone."""
    data = forge(saved[0], lambda contents, arrays: None)
    path = saved[0].with_name("good")
    path.write_bytes(data)
    assert_same(ffnn.load(path), ffnn.load(saved[0]))


# --- other versions


def test_a_later_format_names_the_version_that_reads_it(saved):
    def later(contents, arrays):
        contents.update(format=7, ffnn="9.1")

    message = refuse(saved[0], forge(saved[0], later))
    assert "format 7 and was made by ffnn 9.1" in message
    assert "Install ffnn 9.1 or a later one" in message


def test_parameters_of_a_later_version_are_named(saved):
    message = refuse(saved[0], forge(saved[0], put("parameters", "from_the_future", value=1)))
    assert "does not have in ffnn" in message
    assert "from_the_future" in message


def test_a_parameter_that_the_file_does_not_know_has_its_default(saved):
    path = saved[0].with_name("earlier")
    path.write_bytes(forge(saved[0], drop("parameters", "weight_decay")))
    assert ffnn.load(path).weight_decay == 0.0


def test_an_earlier_format_is_brought_up_to_date(saved, monkeypatch):
    def first_to_second(contents):
        return {**contents, "attributes": {**contents["attributes"], "n_iter_": contents["attributes"]["n_iter_"] + 10}}

    monkeypatch.setattr(files, "FORMAT", 3)
    monkeypatch.setattr(files, "_MIGRATIONS", {1: first_to_second, 2: first_to_second})
    assert ffnn.load(saved[0]).n_iter_ == 21


def test_a_file_of_the_first_format_is_read_for_ever():
    estimator = ffnn.load(Path(__file__).with_name("format-1.ffnn"))
    assert repr(estimator) == "MLPClassifier(dropout=0.2, hidden_units=(2,), n_epochs=1, random_state=0)"
    np.testing.assert_array_equal(estimator.classes_, ["no", "yes"])
    np.testing.assert_allclose(estimator.intercepts_[1], [0.0009999657231624247], rtol=1e-15)
    np.testing.assert_allclose(estimator.decision_function([[1.0, 2.0]]), [0.5050364132999833], rtol=1e-9)
    assert estimator.partial_fit([[1.0, 2.0]], ["no"]).n_iter_ == 2
