"""Bad parameters: refused by name, before an engine starts, with the estimator as it was."""
# ruff: noqa: E501 - a case a line

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ffnn
from ffnn.builder import Builder
from ffnn.estimator.settings import Settings
from ffnn.exceptions import EngineNotInstalledError
from ffnn_plugins.outputs.multiclass import MulticlassOutput

ROOT = Path(__file__).parents[1]
X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 1, 0, 1, 0, 1])


class MissingEngineBuilder(Builder):
    engine = "no_such_engine"
    requirement = "no-such-engine>=3"

    def model(self, network, solver):
        raise NotImplementedError


UNITS = "Give the units of each hidden layer, such as .256,. or .256, 128.; .. is a linear model"
RATE = "It is the fraction of values dropped: use None for no dropout, or 0.5 to drop half"

#: parameter, value, error, what its message says: the parameter, what was expected, what arrived, the remedy
CASES = [
    ("hidden_units", (0,), ValueError, rf"hidden_units=\(0,\): expected positive integers, got 0. {UNITS}"),
    ("hidden_units", (8, -1), ValueError, rf"hidden_units=\(8, -1\): expected positive integers, got -1. {UNITS}"),
    ("hidden_units", 0, ValueError, rf"hidden_units=\(0,\): expected positive integers, got 0. {UNITS}"),
    ("hidden_units", (2.5,), TypeError, rf"hidden_units=\(2.5,\): expected positive integers, got 2.5. {UNITS}"),
    ("hidden_units", (True,), TypeError, rf"hidden_units=\(True,\): expected positive integers, got True. {UNITS}"),
    ("hidden_units", "64", TypeError, rf"hidden_units='64': expected a sequence of positive integers, got str. {UNITS}"),
    ("hidden_units", None, TypeError, rf"hidden_units=None: expected .* got NoneType. {UNITS}"),
    ("batch_size", 0, ValueError, "batch_size=0: expected a positive integer. It is the number of samples"),
    ("batch_size", -3, ValueError, "batch_size=-3: expected a positive integer. It is"),
    ("batch_size", 2.0, TypeError, "batch_size=2.0: expected a positive integer, got float. It is"),
    ("batch_size", "64", TypeError, "batch_size='64': expected a positive integer, got str. It is"),
    ("n_epochs", 0, ValueError, "n_epochs=0: expected a positive integer. It is the number of passes"),
    ("n_epochs", True, TypeError, "n_epochs=True: expected a positive integer, got bool. It is"),
    ("random_state", "x", ValueError, "random_state='x': expected an integer from 0 to .* An integer makes fit"),
    ("random_state", -1, ValueError, "random_state=-1: expected an integer from 0 to"),
    ("n_epochs", None, TypeError, "n_epochs=None: expected a positive integer, got NoneType. It is"),
    ("dropout", 1.0, ValueError, rf"dropout=1.0: expected a rate in \[0, 1\), or None. {RATE}"),
    ("dropout", 50, ValueError, rf"dropout=50: expected a rate in \[0, 1\), or None. {RATE}"),
    ("dropout", -0.1, ValueError, f"dropout=-0.1: expected a finite number of at least 0. {RATE}"),
    ("dropout", np.nan, ValueError, f"dropout=nan: expected a finite number of at least 0. {RATE}"),
    ("dropout", "0.5", TypeError, f"dropout='0.5': expected a finite number of at least 0, got str. {RATE}"),
    ("learning_rate", 0, ValueError, "learning_rate=0: expected a finite number greater than 0. .* 1e-3 is usual"),
    ("learning_rate", -1.0, ValueError, "learning_rate=-1.0: expected a finite number greater than 0. .* 1e-3 is usual"),
    ("learning_rate", np.inf, ValueError, "learning_rate=inf: expected a finite number greater than 0. It is"),
    ("learning_rate", "fast", ValueError, "learning_rate must name a schedule that is registered; got 'fast'.*'cosine'"),
    ("weight_decay", -1e-4, ValueError, "weight_decay=-0.0001: expected a finite number of at least 0. Use 0.0 for none"),
    ("weight_decay", None, TypeError, "weight_decay=None: expected .* got NoneType. Use 0.0 for none"),
    ("activation", "rleu", ValueError, "activation='rleu' is not known. Did you mean 'relu'.* Expected one of .*tanh"),
    ("activation", 3, TypeError, "activation=3: expected a name such as 'relu', a callable, or None for linear; got int"),
    ("builder", "tff", ValueError, "builder must name a builder that is registered; got 'tff'. Did you mean 'tf'"),
    ("builder", None, TypeError, "builder must be the name of a registered builder or an instance.*got None.*Give"),
    ("builder", ffnn.TensorFlowBuilder, TypeError, r"got the class TensorFlowBuilder. Give an instance, TensorFlow"),
    ("builder", MissingEngineBuilder(), EngineNotInstalledError, "needs no_such_engine, which is not installed. Install "
     "it with: python -m pip install 'no-such-engine>=3'"),
    ("block", ("afine",), ValueError, "block must name a layer that is registered; got 'afine'. Did you mean 'affine'"),
    ("block", "affine", TypeError, "block='affine': expected a sequence of layers, such as .*'affine'.*got str"),
    ("block", (3,), TypeError, "block must be the name of a registered layer or an instance of Layer; got 3.*Give a name"),
    ("input_layer", "dens", ValueError, "input_layer must name an input.*got 'dens'. Did you mean 'dense'"),
    ("input_layer", 3, TypeError, "input_layer must be the name of a registered input or an instance of Input; got 3"),
    ("output_layer", "binry", ValueError, "output_layer must name an output.*got 'binry'. Did you mean 'binary'"),
    ("output_layer", "regression", ValueError, "output_layer='regression' is a regressor's; expected a classifier's. Use"),
    ("output_layer", MulticlassOutput, TypeError, "got the class MulticlassOutput. Give an instance, MulticlassOutput"),
    ("solver", "adma", ValueError, "solver must name a solver.*got 'adma'. Did you mean 'adam'.*'lbfgs'"),
    ("solver", ffnn.Adam, TypeError, r"solver must be the name of a registered solver or an instance.*got the class Adam.*Adam\(\)"),
    ("solver", ffnn.Adam(beta_1=1.0), ValueError, r"Adam.beta_1=1.0: expected a number in \[0, 1\). It is the share"),
    ("solver", ffnn.Adam(epsilon=0), ValueError, "Adam.epsilon=0: expected a finite number greater than 0. It keeps"),
    ("solver", ffnn.SGD(momentum="x"), TypeError, "SGD.momentum='x': expected a finite number.*got str. It is the share"),
    ("solver", ffnn.LBFGS(memory=0), ValueError, "LBFGS.memory=0: expected a positive integer. .*10 is usual"),
    ("dtype", "float16", ValueError, "dtype='float16' is not known.* Expected one of auto, float32, float64, mixed_bfloat16"),
    ("dtype", None, ValueError, "dtype=None is not known.* Expected one of auto, float32, float64, mixed_bfloat16"),
    ("dtype", "int32", ValueError, "dtype='int32' is not known.* Expected one of auto, float32, float64, mixed_bfloat16"),
]  # fmt: skip
IDS = [f"{name}={value!r}" for name, value, _, _ in CASES]


@pytest.mark.parametrize(("name", "value", "error", "message"), CASES, ids=IDS)
def test_a_bad_parameter_is_refused_and_nothing_changes(name, value, error, message):
    estimator = ffnn.MLPClassifier().set_params(**{name: value})
    before = dict(vars(estimator))
    with pytest.raises(error, match=message):
        estimator.fit(X, Y)
    assert vars(estimator) == before
    assert vars(estimator)[name] is value


def test_a_bad_parameter_starts_no_engine():
    code = (
        "import sys\n"
        "from tests.test_settings import CASES, MissingEngineBuilder, X, Y, ffnn\n"
        "for name, value, error, _ in CASES:\n"
        "    for estimator in (ffnn.MLPClassifier(), ffnn.MLPRegressor()):\n"
        "        if (name, value) == ('output_layer', 'regression'): continue\n"
        "        try: estimator.set_params(**{name: value}).fit(X, Y)\n"
        "        except error: pass\n"
        "        else: print('not refused:', name, value)\n"
        "    if {'tensorflow', 'keras'} & set(sys.modules): sys.exit(f'{name}={value} started an engine')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_refused_fit_leaves_a_fitted_estimator_as_it_was(builder):
    estimator = ffnn.MLPClassifier((4,), n_epochs=2, builder=builder, random_state=0).fit(X, Y)
    scores = estimator.decision_function(X)
    before = dict(vars(estimator))
    with pytest.raises(ValueError, match="n_epochs=0"):
        estimator.set_params(n_epochs=0).fit(np.ones((4, 3)), [1, 2, 1, 2])
    with pytest.raises(ValueError, match="activation='nope'"):
        estimator.set_params(n_epochs=2, activation="nope").fit(np.ones((4, 3)), [1, 2, 1, 2])
    assert vars(estimator.set_params(activation="relu")) == before
    np.testing.assert_array_equal(estimator.decision_function(X), scores)


def test_a_monitor_that_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match="monitor=3: expected a callable monitor.*, or None; got int"):
        ffnn.MLPClassifier().fit(X, Y, monitor=3)


def test_numpys_numbers_are_numbers():
    settings = Settings.of(
        ffnn.MLPClassifier(
            hidden_units=np.array([4, 3]), n_epochs=np.int64(2), dropout=np.float32(0.5), dtype=np.float32,
            learning_rate=np.float64(1e-3), batch_size=np.int32(8),
        )
    )  # fmt: skip
    assert settings.hidden_units == (4, 3)
    assert settings.dtype == "float32"


@pytest.mark.parametrize(("units", "expected"), [(7, (7,)), ((), ()), ([3, 2], (3, 2)), (np.int64(5), (5,))], ids=str)
def test_hidden_units_are_a_tuple(units, expected):
    assert Settings.of(ffnn.MLPClassifier(units)).hidden_units == expected


@pytest.mark.parametrize(
    ("dtype", "solver", "shape", "expected"),
    [
        ("auto", "adam", (10, 10), "float64"),
        ("auto", "adam", (10_000, 10), "float32"),
        ("auto", "lbfgs", (10_000, 10), "float64"),
        ("float32", "lbfgs", (10, 10), "float32"),
        ("float64", "adam", (10_000, 10), "float64"),
    ],
)
def test_the_dtype_follows_from_solver_and_size(dtype, solver, shape, expected):
    settings = Settings.of(ffnn.MLPClassifier(dtype=dtype, solver=solver))
    assert settings.dtype_for(np.empty(shape)) == expected


def test_the_solver_is_a_copy_of_the_users():
    solver = ffnn.Adam(beta_1=0.5)
    settings = Settings.of(ffnn.MLPClassifier(solver=solver))
    assert settings.solver is not solver
    assert settings.solver.get_params() == solver.get_params()
