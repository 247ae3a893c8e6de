"""``builder="auto"``: which builder it takes, that it stays with it, and what happens where one is not there."""

from __future__ import annotations

import copy
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import ffnn
from ffnn import KerasBuilder, MLPClassifier, MLPRegressor
from ffnn.input import SparseStatistics
from ffnn.testing._suite import make_problem
from ffnn_plugins.builders.native import NativeBuilder
from ffnn_plugins.inputs.sparse import SparseInput
from tests.support.estimators import state_of

ROOT = Path(__file__).parents[1]
X = np.random.default_rng(0).normal(size=(60, 4))
Y = np.arange(60) % 3
WIDE = scipy.sparse.random(40, 20_000, 0.001, "csr", random_state=0, dtype=np.float32)


def classifier(**parameters):
    return MLPClassifier(**{"hidden_units": (5,), "n_epochs": 2, "random_state": 0} | parameters)


def doubled(x):
    return 2 * x


class OwnAdam(ffnn.Adam):
    """A solver of a user's own, which may step in another way."""


# --- the choice

NATIVE = [
    ({}, X),
    ({"dropout": 0.3, "solver": "lbfgs"}, X),
    ({"device": "cpu", "dtype": "float64"}, X),
    ({}, scipy.sparse.csr_array(X)),
    ({"dtype": "float32", "input_layer": SparseInput("stored")}, WIDE),
]
TENSORFLOW = [
    ({"activation": doubled}, X),
    ({"block": ("batch_norm", "affine", "activation")}, X),
    ({"dtype": "mixed_bfloat16"}, X),
    ({"input_layer": "plr"}, X),
    ({"solver": OwnAdam()}, X),
    ({"solver": "sgd"}, WIDE),
    ({"dtype": "float64", "input_layer": SparseInput("stored")}, WIDE),
]


@pytest.mark.parametrize(("parameters", "x"), NATIVE)
def test_the_native_builder_is_taken_where_it_can_and_is_expected_to_win(parameters, x):
    chosen = classifier(**parameters).fit(x, Y[: x.shape[0]])
    named = classifier(builder="native", **parameters).fit(x, Y[: x.shape[0]])
    assert chosen.builder_ == named.builder_ == "native"
    np.testing.assert_array_equal(chosen.predict_proba(x), named.predict_proba(x))


@pytest.mark.parametrize(("parameters", "x"), TENSORFLOW)
def test_tensorflow_is_taken_elsewhere(parameters, x):
    assert classifier(**parameters).fit(x, Y[: x.shape[0]]).builder_ == "tf"


@pytest.mark.parametrize(
    ("units", "batch_size", "n_rows", "expected"),
    [
        ((2048,), 1024, 5000, False),
        ((2048,), 512, 5000, True),  # a smaller batch
        ((256, 256), 1024, 10**6, True),  # smaller layers
        ((2048,), 1024, 2000, True),  # over before TensorFlow is imported
        ((), 1024, 10**6, True),
    ],
)
def test_large_batches_of_large_layers_suit_tensorflow_where_they_are_many(units, batch_size, n_rows, expected):
    problem = make_problem(hidden_units=units, n_features=2048)
    assert NativeBuilder().suits(problem.network, problem.solver, n_rows, batch_size) is expected


@pytest.mark.parametrize(("n_rows", "expected"), [(2_000, True), (3_000, False)])
def test_more_stored_entries_than_the_kernel_counts_suit_tensorflow(n_rows, expected):
    rows = SparseInput("stored")
    problem = make_problem(input=rows, sparse=True, dtype="float32")
    rows.statistics_ = SparseStatistics(64, 1e6, 1e6)
    assert NativeBuilder().suits(problem.network, problem.solver, n_rows, 64) is expected


def test_a_named_builder_is_the_one_that_is_named():
    assert MLPRegressor((3,), n_epochs=1, builder="tf").fit(X, X[:, 0]).builder_ == "tf"
    assert classifier(builder=KerasBuilder()).fit(X, Y).builder_ == "KerasBuilder"


def test_what_was_chosen_is_shown():
    fitted = classifier().fit(X, Y)
    assert re.search(r"builder_.*native", fitted._repr_html_(), re.DOTALL)
    assert {"builder": "native", "path": "dense"}.items() <= fitted.model_.describe().items()
    wide = classifier(dtype="float32", input_layer=SparseInput("stored")).fit(WIDE, Y[:40])
    assert wide.model_.describe()["path"] == "kernel"
    assert classifier(activation=doubled).fit(X, Y).model_.describe()["builder"] == "tf"
    assert "builder_" not in clone(fitted)._repr_html_()
    assert not hasattr(clone(fitted), "builder_")


# --- later calls


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
@pytest.mark.parametrize("activation", ["tanh", doubled], ids=["native", "tf"])
def test_the_choice_stays_with_the_estimator(copied, activation):
    fitted = classifier(activation=activation).fit(X, Y)
    twin = copied(fitted)
    assert twin.builder_ == fitted.builder_
    np.testing.assert_array_equal(twin.predict_proba(X), fitted.predict_proba(X))
    assert twin.partial_fit(X, Y).builder_ == fitted.builder_


def test_a_network_that_the_builder_cannot_take_any_more_moves_to_another_with_all_that_it_has_learned():
    fitted = classifier(warm_start=True).fit(X, Y)
    assert fitted.builder_ == "native"
    fitted.set_params(activation=doubled).partial_fit(X, Y)
    assert (fitted.builder_, fitted.n_iter_, state_of(fitted).step) == ("tf", 3, 3)
    fitted.set_params(activation="relu").fit(X, Y)  # it could go back, and stays
    assert (fitted.builder_, fitted.n_iter_) == ("tf", 5)
    assert fitted.set_params(warm_start=False).fit(X, Y).builder_ == "native"


def test_a_network_of_a_named_builder_stays_there_when_the_choice_is_free_again():
    fitted = classifier(builder="tf").fit(X, Y)
    expected = fitted.predict_proba(X)
    np.testing.assert_array_equal(fitted.set_params(builder="auto").predict_proba(X), expected)
    assert fitted.partial_fit(X, Y).builder_ == "tf"


# --- refusals, before anything starts


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation": doubled}, r"builder='native' does not have .*doubled.*, which block names. Use builder='tf'"),
        ({"device": "gpu"}, r"device='gpu': expected 'cpu' or None, as builder='native' .* Use builder='tf'"),
        ({"block": ("affine", "batch_norm", "activation")}, r"builder='native' does not have BatchNorm.*builder='tf'"),
        ({"solver": OwnAdam()}, r"builder='native' does not have OwnAdam\(\), which solver names. Use builder='tf'"),
        ({"dtype": "mixed_bfloat16"}, r"builder='native' does not compute in bfloat16.*or builder='tf'"),
    ],
)
def test_the_native_builder_refuses_by_name(parameters, message):
    estimator, told = classifier(builder="native", **parameters), []
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, Y, monitor=lambda *_: told.append(1))
    assert not told
    assert not hasattr(estimator, "network_")


@pytest.mark.parametrize(("device", "error"), [("gpu:no", ValueError), (3, TypeError)])
def test_a_device_that_is_none_is_refused(device, error):
    with pytest.raises(error, match=r"device=.*: expected 'cpu', 'gpu'"):
        classifier(device=device).fit(X, Y)


# --- where a builder is not there


def run(code, *arguments, **variables):
    """Return the lines that a program prints in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **variables}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


DEFAULT = """
import sys
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
import ffnn
X, y = load_digits(return_X_y=True)
fitted = ffnn.MLPClassifier(random_state=0).fit(X, y)
search = GridSearchCV(ffnn.MLPClassifier(n_epochs=1), {"hidden_units": [(4,), (5,)]}, cv=2).fit(X, y)
print(fitted.score(X, y) > 0.95, fitted.builder_, search.best_estimator_.builder_)
"""
ENGINES = """
print([name for name in ("tensorflow", "keras", "jax", "torch") if sys.modules.get(name)])
"""


def test_a_fit_of_the_default_imports_no_engine():
    assert run(DEFAULT + ENGINES) == ["True native native", "[]"]


WITHOUT_TENSORFLOW = """
import importlib.abc, sys

class Refusing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError("refused", name=name)

sys.meta_path.insert(0, Refusing())
"""
REFUSED = """
import warnings
warnings.simplefilter("ignore")
for parameters in ({"builder": "tf"}, {"activation": abs}, {"device": "gpu"}):
    try:
        ffnn.MLPClassifier(**parameters).fit(X, y)
    except ValueError as error:
        print(type(error).__name__, " ".join(str(error).split()))
import pickle
print(pickle.load(open(sys.argv[1], "rb")).fit(X, y).builder_)
"""


@pytest.mark.slow
def test_all_but_tensorflow_works_where_it_cannot_be_imported(tmp_path):
    path = tmp_path / "fitted"
    path.write_bytes(pickle.dumps(classifier(builder="tf").fit(X, Y).set_params(builder="auto")))
    shown, named, function, device, moved, engines = run(WITHOUT_TENSORFLOW + DEFAULT + REFUSED + ENGINES, path)
    install = "Install it with: python -m pip install 'tensorflow'"
    assert shown == "True native native"
    assert named.startswith("EngineNotInstalledError builder=TensorFlowBuilder() needs tensorflow, which is not")
    assert install in named
    assert "builder='native' does not have Activation(activation=<built-in function abs>)" in function
    assert install in function
    assert "device='gpu': expected 'cpu' or None, as builder='native'" in device
    assert install in device
    assert (moved, engines) == ("native", "[]")


ELSEWHERE = """
import warnings
import numpy as np
from sklearn.utils.estimator_checks import estimator_checks_generator
for found in (ffnn.MLPClassifier(n_epochs=2, random_state=0), ffnn.MLPRegressor(n_epochs=2, random_state=0)):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checks = [check for _, check in estimator_checks_generator(found)][::5]
        for check in checks:
            check(type(found)(n_epochs=2, random_state=0))
print(len(checks) > 5)
with ffnn.pool("multiprocessing", n_workers=2, progress=False):
    again = GridSearchCV(ffnn.MLPClassifier(n_epochs=1), {"hidden_units": [(4,), (5,)]}, cv=2).fit(X, y)
ffnn.save(again.best_estimator_, sys.argv[1])
print(again.best_estimator_.builder_, (ffnn.load(sys.argv[1]).predict(X) == again.predict(X)).all())
for backend in ("tensorflow", "jax"):
    os.environ["KERAS_BACKEND"] = backend
    try:
        print(ffnn.MLPClassifier(n_epochs=1, builder="keras").fit(X, y).builder_)
    except ValueError as error:
        print(type(error).__name__, error)
"""


@pytest.mark.slow
def test_where_there_is_no_tensorflow_searches_and_keras_on_jax_work(tmp_path):
    """As on Python 3.14: in the workers, too."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_TENSORFLOW)
    lines = run("import os\n" + DEFAULT + ELSEWHERE, tmp_path / "fitted", PYTHONPATH=str(tmp_path))
    assert lines[:3] == ["True native native", "True", "native True"]
    assert lines[3].startswith(
        "EngineNotInstalledError builder=KerasBuilder(): Keras runs on 'tensorflow', which is not"
    )
    assert "export KERAS_BACKEND=jax" in lines[3]
    assert lines[4:] == ["keras"]


WITHOUT_KERNELS = """
import pickle, sys, warnings
import numpy as np
from ffnn import MLPClassifier
x, fitted, expected = pickle.load(open(sys.argv[1], "rb"))
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    scores = fitted.decision_function(x)
    new = MLPClassifier((3,), n_epochs=1).fit(x, np.arange(len(x)) % 2)
print(np.abs(scores - expected).max() < 1e-9, new.builder_, fitted.partial_fit(x, fitted.predict(x)).builder_)
print(*(str(warning.message) for warning in told if "builder" in str(warning.message)), sep="\\n")
"""


@pytest.mark.slow
def test_without_kernels_it_is_tensorflow_and_says_so_once(tmp_path):
    fitted = classifier().fit(X, Y)
    (tmp_path / "fitted").write_bytes(pickle.dumps((X, fitted, fitted.decision_function(X))))
    shown, told = run(WITHOUT_KERNELS, tmp_path / "fitted", FFNN_KERNELS=str(tmp_path))
    assert shown == "True tf tf"
    assert re.match(r"builder='auto' takes 'tf'.*needs its compiled kernels.*Install a C compiler", told)


# --- workers


def engines_here(estimator, X, y):
    """Score an estimator by the engines that its process has imported."""
    return float(sum(name in sys.modules for name in ("tensorflow", "keras")))


@pytest.mark.slow
def test_a_worker_imports_no_engine_that_its_tasks_do_not_need():
    grid = {"hidden_units": [(4,), (5,)]}
    with ffnn.pool("multiprocessing", n_workers=2, progress=False):
        search = GridSearchCV(classifier(), grid, cv=2, scoring=engines_here, refit=False, error_score="raise")
        assert search.fit(X, Y).cv_results_["mean_test_score"].tolist() == [0, 0]
        search.set_params(estimator__activation=doubled).fit(X, Y)
        assert search.cv_results_["mean_test_score"].tolist() == [1, 1]
