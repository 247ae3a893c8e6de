"""A fitted estimator pickled, copied and dumped: all of it comes back, and nothing of an engine travels."""

from __future__ import annotations

import copy
import io
import pickle
import pickletools
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_iris

import ffnn
from ffnn import MLPClassifier, MLPRegressor
from ffnn.estimator.fitted import Fitted
from ffnn.testing._suite import assert_states_equal, make_problem
from ffnn.training.epochs import initial_generator
from tests.support.estimators import scores_of, state_of

ROOT = Path(__file__).parents[1]
X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
MULTI = np.column_stack([X[:, 0] > 5.8, X[:, 1] > 3]).astype(int)


def by_joblib(estimator):
    stream = io.BytesIO()
    joblib.dump(estimator, stream)
    stream.seek(0)
    return joblib.load(stream)


COPIES = {
    "deepcopy": copy.deepcopy,
    "joblib": by_joblib,
    **{f"pickle{n}": lambda e, n=n: pickle.loads(pickle.dumps(e, protocol=n)) for n in (2, pickle.HIGHEST_PROTOCOL)},
}
PARAMETERS = {"hidden_units": (6,), "n_epochs": 2, "dropout": 0.2, "random_state": 0}
FITS = {
    "multiclass": lambda **p: MLPClassifier(**PARAMETERS, **p).fit(X, NAMES),
    "binary": lambda **p: MLPClassifier(**PARAMETERS, **p).fit(X, Y > 0),
    "multilabel": lambda **p: MLPClassifier(**PARAMETERS, **p).fit(X, MULTI),
    "regression": lambda **p: MLPRegressor(**PARAMETERS, **p).fit(X, X[:, :2]),
    "sparse": lambda **p: MLPClassifier(**PARAMETERS, **p, dtype="float32").fit(scipy.sparse.csr_array(X), NAMES),
    "solver": lambda **p: MLPClassifier(**PARAMETERS, **p, solver=ffnn.SGD(momentum=0.5)).fit(X, Y),
    "lbfgs": lambda **p: MLPClassifier(**PARAMETERS, **p, solver="lbfgs").fit(X, Y),
}


@pytest.mark.parametrize(
    ("kind", "builder"), [*((kind, "native") for kind in FITS), ("multiclass", "tf"), ("sparse", "keras")]
)
def test_every_way_of_copying_keeps_all_of_it(kind, builder):
    estimator = FITS[kind](builder=builder)
    expected = estimator.predict(X), scores_of(estimator, X)
    for way, copied in COPIES.items():
        twin = copied(estimator)
        np.testing.assert_array_equal(twin.predict(X), expected[0], err_msg=way)
        np.testing.assert_array_equal(scores_of(twin, X), expected[1], err_msg=way)
        assert_states_equal(state_of(twin), state_of(estimator))
        assert twin.loss_curve_ == estimator.loss_curve_
        assert repr(twin) == repr(estimator)


def test_a_copy_trains_apart_from_the_original(builder):
    estimator = FITS["multiclass"](builder=builder)
    before = estimator.predict_proba(X)
    twin = copy.deepcopy(estimator).partial_fit(X, NAMES)
    np.testing.assert_array_equal(estimator.predict_proba(X), before)
    assert not np.array_equal(twin.predict_proba(X), before)
    assert estimator.n_iter_ == 2
    assert len(estimator.loss_curve_) == 2


def test_an_estimator_that_is_not_fitted_is_pickled_too():
    estimator = MLPClassifier(solver=ffnn.Adam(beta_1=0.5), random_state=3)
    assert repr(pickle.loads(pickle.dumps(estimator))) == repr(estimator)


def test_nothing_of_an_engine_is_in_a_pickle(builder):
    modules = {
        str(argument).partition(" ")[0].partition(".")[0]
        for opcode, argument, _ in pickletools.genops(pickle.dumps(FITS["multiclass"](builder=builder), protocol=0))
        if opcode.name == "GLOBAL"
    }
    assert "ffnn" in modules
    assert modules <= {"ffnn", "ffnn_plugins", "numpy", "copy_reg", "copyreg", "__builtin__", "builtins", "_codecs"}


@pytest.mark.slow
def test_a_pickle_is_read_in_another_process(tmp_path):
    estimator = FITS["sparse"](builder="tf")
    path = tmp_path / "estimator.joblib"
    joblib.dump((estimator, X, estimator.predict_proba(X)), path)
    code = (
        f"import sys, joblib; estimator, X, expected = joblib.load({str(path)!r})\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules), 'unpickling started an engine'\n"
        "assert estimator.coefs_[0].shape == (4, 6)\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules), 'reading weights started an engine'\n"
        "print((estimator.predict_proba(X) == expected).all())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.strip() == "True", done.stderr[-2000:]


class WithMore(MLPClassifier):
    """A user's estimator, with a parameter and a learned attribute of its own."""

    def __init__(self, hidden_units=(256,), n_epochs=5, extra="default", builder="tf", random_state=None, dropout=None):
        super().__init__(hidden_units, n_epochs=n_epochs, builder=builder, random_state=random_state, dropout=dropout)
        self.extra = extra

    def fit(self, X, y, sample_weight=None, *, monitor=None):
        super().fit(X, y, sample_weight, monitor=monitor)
        self.learned_ = f"{self.extra}!"
        return self


@pytest.mark.parametrize("way", COPIES)
def test_a_subclass_keeps_its_own_parameters(way):
    estimator = WithMore((6,), n_epochs=2, extra="mine", random_state=0).fit(X, NAMES)
    twin = COPIES[way](estimator)
    assert type(twin) is WithMore
    assert (twin.extra, twin.learned_) == ("mine", "mine!")
    np.testing.assert_array_equal(twin.predict_proba(X), estimator.predict_proba(X))
    assert clone(twin).get_params()["extra"] == "mine"


# --- what an estimator holds on to


def test_the_state_moves_between_builders_whole():
    estimator = FITS["multiclass"](builder="tf")
    state = state_of(estimator)
    for builder in ("keras", "tf"):
        estimator.set_params(builder=builder).model_  # noqa: B018 - it builds the model
        moved = state_of(estimator)
        assert moved.step == state.step
        for kind in ("weights", "slots"):
            assert getattr(moved, kind).keys() == getattr(state, kind).keys()
            for name, array in getattr(state, kind).items():
                np.testing.assert_array_equal(getattr(moved, kind)[name], array)


def test_a_fitted_network_builds_its_model_once():
    problem = make_problem()
    fitted = Fitted(problem.network, problem.solver, root_seed=0)
    assert fitted.state is None
    model = fitted.model(ffnn.TensorFlowBuilder())
    assert fitted.model(ffnn.TensorFlowBuilder()) is model
    expected = problem.network.initial_weights(initial_generator(0))
    for name, array in fitted.state.weights.items():
        np.testing.assert_array_equal(array, expected[name])


def test_another_solver_starts_with_an_empty_memory():
    problem = make_problem()
    fitted = Fitted(problem.network, problem.solver, root_seed=0)
    model = fitted.model(ffnn.TensorFlowBuilder())
    model.load(problem.x, problem.targets, problem.weight)
    model.train_epoch(problem.plan())
    trained = fitted.state
    fitted.change(problem.network, ffnn.Adam())
    assert_states_equal(fitted.state, trained)
    fitted.change(problem.network, ffnn.SGD())
    assert fitted.state.step == 0
    np.testing.assert_equal(fitted.state.weights, trained.weights)
    assert {name.rpartition("/")[2] for name in fitted.model(ffnn.TensorFlowBuilder()).get_state().slots} == {
        "velocity"
    }
