from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris

from ffnn import MLPClassifier
from ffnn._utils.checks import check_number
from ffnn.ops import NumpyOps
from ffnn.solver import StochasticSolver, clipped
from ffnn.solvers import SGD, SOLVERS, Adagrad, Adam, AdamW, RMSprop, resolve_solver

RATE = 0.05
GRADIENTS = np.random.default_rng(0).normal(size=(7, 3))
STOCHASTIC = {name: kind for name, kind in SOLVERS.items() if kind.stochastic}


def steps(solver, n=7):
    """Return the weights after each step of a solver, through the interface that builders use."""
    weight = np.ones(3)
    slots = {name: np.full(3, value) for name, value in solver.slots.items()}
    sizes = solver.step_sizes(np.full(n, RATE), 0)
    path = []
    for gradient, size in zip(GRADIENTS[:n], sizes, strict=True):
        before = weight.copy(), {name: array.copy() for name, array in slots.items()}
        new, new_slots = solver.update(NumpyOps(), weight, gradient, slots, size, "float64")
        np.testing.assert_array_equal(weight, before[0])
        for name, array in slots.items():
            np.testing.assert_array_equal(array, before[1][name])
        assert set(new_slots) == set(slots)
        weight, slots = new, new_slots
        path.append(weight)
    return np.array(path)


def test_adam_is_the_paper_s():
    """Algorithm 1, with the remark at the end of section 2: the epsilon that is added to the uncorrected root."""
    b1, b2, epsilon = 0.8, 0.95, 1e-3
    weight, mean, square, path = np.ones(3), np.zeros(3), np.zeros(3), []
    for t, g in enumerate(GRADIENTS, start=1):
        mean, square = b1 * mean + (1 - b1) * g, b2 * square + (1 - b2) * g**2
        corrected_epsilon = epsilon / np.sqrt(1 - b2**t)
        weight = weight - RATE * (mean / (1 - b1**t)) / (np.sqrt(square / (1 - b2**t)) + corrected_epsilon)
        path.append(weight)
    np.testing.assert_allclose(steps(Adam(b1, b2, epsilon)), path, rtol=1e-12)
    np.testing.assert_allclose(steps(AdamW(b1, b2, epsilon)), path, rtol=1e-12)


def test_adams_first_step_is_the_learning_rate():
    np.testing.assert_allclose(1 - steps(Adam(), 1)[0], RATE * np.sign(GRADIENTS[0]), rtol=1e-4)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_has_momentum(nesterov):
    weight, velocity, path = np.ones(3), np.zeros(3), []
    for g in GRADIENTS:
        velocity = 0.7 * velocity - RATE * g
        weight = weight + (0.7 * velocity - RATE * g if nesterov else velocity)
        path.append(weight)
    np.testing.assert_allclose(steps(SGD(0.7, nesterov)), path, rtol=1e-12)


def test_sgd_without_momentum_remembers_nothing():
    assert SGD(momentum=0.0).slots == {}
    np.testing.assert_allclose(steps(SGD(momentum=0.0)), 1 - RATE * np.cumsum(GRADIENTS, axis=0))


def test_rmsprop_divides_by_a_running_root_mean_square():
    weight, square, path = np.ones(3), np.zeros(3), []
    for g in GRADIENTS:
        square = 0.6 * square + 0.4 * g**2
        weight = weight - RATE * g / (np.sqrt(square) + 1e-7)
        path.append(weight)
    np.testing.assert_allclose(steps(RMSprop(rho=0.6)), path, rtol=1e-9)


def test_adagrad_divides_by_the_root_of_the_sum():
    sums = 0.25 + np.cumsum(GRADIENTS**2, axis=0)
    expected = 1 - np.cumsum(RATE * GRADIENTS / np.sqrt(sums), axis=0)
    np.testing.assert_allclose(steps(Adagrad(initial_sum=0.25)), expected, rtol=1e-5)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_each_solver_finds_a_minimum(name):
    solver = STOCHASTIC[name]()
    weight = np.array([3.0, -2.0])
    slots = {slot: np.full(2, value) for slot, value in solver.slots.items()}
    for i in range(600):
        size = solver.step_sizes(np.array([0.3 if name == "adagrad" else 0.02]), i)[0]
        weight, slots = solver.update(NumpyOps(), weight, 2 * (weight - 1), slots, size, "float64")
    np.testing.assert_allclose(weight, 1, atol=0.05)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_step_sizes_are_those_of_any_part_of_the_run(name):
    solver = STOCHASTIC[name]()
    rates = np.linspace(0.1, 0.01, 10)
    together = solver.step_sizes(rates, 0)
    np.testing.assert_array_equal(
        np.concatenate([solver.step_sizes(rates[:4], 0), solver.step_sizes(rates[4:], 4)]), together
    )
    assert together.dtype == np.float64


@pytest.mark.parametrize("name", SOLVERS)
def test_a_name_and_an_instance_are_the_same(name):
    solver = resolve_solver(name)
    assert type(solver) is SOLVERS[name]
    assert resolve_solver(solver) is solver
    assert clone(solver).structure() == solver.structure()
    assert hash(solver.structure()) == hash(clone(solver).structure())


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
