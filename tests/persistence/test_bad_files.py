"""Files that are damaged, made by somebody, or of another version: each is refused with a reason, and runs nothing."""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ffnn
from ffnn.exceptions import PersistenceError
from ffnn.persistence import files
from tests.support.estimators import NAMES, X, assert_same, make

ROOT = Path(__file__).parents[2]


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
    assert "was not written by ffnn.save" in refuse(saved[0], safetensors.numpy.save({"weights": X}))


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
    "builder": put("attributes", "builder_", value=3),
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
    repr(ffnn.MLPClassifier())  # imports the module with which scikit-learn writes objects in messages
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
    assert (
        " ".join(repr(estimator).split())
        == "MLPClassifier(builder='tf', dropout=0.2, hidden_units=(2,), n_epochs=1, random_state=0)"
    )
    np.testing.assert_array_equal(estimator.classes_, ["no", "yes"])
    np.testing.assert_allclose(estimator.intercepts_[1], [0.0009999657231624247], rtol=1e-15)
    np.testing.assert_allclose(estimator.decision_function([[1.0, 2.0]]), [0.5050364132999833], rtol=1e-9)
    assert estimator.partial_fit([[1.0, 2.0]], ["no"]).n_iter_ == 2
