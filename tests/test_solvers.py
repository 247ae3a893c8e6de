from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris

from ffnn import MLPClassifier
from ffnn._utils.checks import check_number
from ffnn.ops import NumpyOps
from ffnn.plugins import registry
from ffnn.solver import StochasticSolver, clipped
from ffnn.solvers import SGD, Adagrad, Adam, AdamW, RMSprop, resolve_solver


def test_structure_tells_solvers_apart():
    solvers = [Adam(), AdamW(), Adam(beta_1=0.5), SGD(), SGD(nesterov=False), RMSprop(), Adagrad()]
    assert len({solver.structure() for solver in solvers}) == len(solvers)


def test_a_bound_does_not_tell_structures_apart():
    assert len({Adam(clip_norm=bound).structure() for bound in (None, 1.0, 2.0)}) == 1


def test_the_norm_that_is_clipped_is_that_of_all_gradients_together():
    gradients = [np.array([[3.0, 0.0]]), np.array([-4.0]), np.array([12.0])]
    found = clipped(NumpyOps(), gradients, "float64", clip_norm=6.5)
    np.testing.assert_allclose(np.concatenate([g.ravel() for g in found]), [1.5, 0, -2, 6])
    for one, other in zip(clipped(NumpyOps(), gradients, "float64", clip_norm=13.1), gradients, strict=True):
        np.testing.assert_array_equal(one, other)
    zeros = [np.zeros(2)]
    np.testing.assert_array_equal(clipped(NumpyOps(), zeros, "float64", clip_norm=1.0), zeros)


def test_values_are_clipped_on_either_side():
    gradients = [np.array([[3.0, 0.5]]), np.array([-4.0])]
    found = clipped(NumpyOps(), gradients, "float64", clip_value=2.0)
    np.testing.assert_array_equal(np.concatenate([g.ravel() for g in found]), [2, 0.5, -2])


class Plain(StochasticSolver):
    """A stranger's solver, which only takes and keeps the bound."""

    def __init__(self, clip_value=None):
        self.clip_value = clip_value

    def update(self, ops, weight, gradient, slots, step_size, dtype):
        return weight - step_size * gradient, {}


def test_a_strangers_solver_is_clipped_too():
    X, y = load_iris(return_X_y=True)
    estimator = MLPClassifier((3,), solver=Plain(), learning_rate=1.0, batch_size=150, random_state=0)
    estimator.set_params(solver__clip_value=1e-3).partial_fit(X, y, classes=[0, 1, 2])
    before = [a.copy() for a in estimator.coefs_]
    estimator.partial_fit(X, y)
    steps = [np.abs(a - b).max() for a, b in zip(estimator.coefs_, before, strict=True)]
    assert max(steps) == pytest.approx(1e-3, rel=1e-6)
    with pytest.raises(ValueError, match="Plain.clip_value=0: expected a finite number greater than 0"):
        estimator.set_params(solver__clip_value=0).fit(X, y)


@pytest.mark.parametrize(
    ("solver", "message"),
    [
        (Adam(clip_norm=0), "Adam.clip_norm=0: expected a finite number greater than 0. It bounds the gradient"),
        (SGD(clip_value=np.inf), "SGD.clip_value=inf: expected a finite number"),
        (RMSprop(clip_norm=1, clip_value=2), "RMSprop.clip_norm=1 and clip_value=2: expected one of them at most"),
        (Adam(beta_2=-0.1), "Adam.beta_2=-0.1: expected a finite number of at least 0. It is the share of the past"),
        (AdamW(beta_1=2), r"AdamW.beta_1=2.*: expected a number in \[0, 1\)"),
        (SGD(momentum=1.0), r"SGD.momentum=1.0: expected a number in \[0, 1\)"),
        (RMSprop(rho=np.nan), "RMSprop.rho=nan: expected a finite number"),
        (Adagrad(initial_sum=-1), "Adagrad.initial_sum=-1: expected a finite number of at least 0. It is what the sum"),
        (Adagrad(epsilon=0.0), "Adagrad.epsilon=0.0: expected a finite number greater than 0. It keeps"),
    ],
    ids=repr,
)
def test_bad_parameters_are_refused(solver, message):
    with pytest.raises(ValueError, match=message):
        resolve_solver(solver)


@pytest.mark.parametrize("value", [True, "1", None, 1j])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(TypeError, match="x=.*: expected a finite number of at least 0, got .*. Remedy."):
        check_number("x", value, "Remedy.")


@pytest.mark.parametrize("name", registry.names("solver"))
def test_a_name_and_an_instance_are_the_same(name):
    solver = resolve_solver(name)
    assert type(solver) is registry.load("solver", name)
    assert resolve_solver(solver) is solver
