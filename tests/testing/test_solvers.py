"""Each test of the suite of solvers fails for a solver that is broken in that way."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest

from ffnn import SGD, Adam
from ffnn.solver import StochasticSolver
from ffnn.testing.solvers import SolverSuite
from tests.support.broken import Broken, check, clauses

COUNT = itertools.count(1)


class Plain(StochasticSolver):
    """Descends along the gradient."""

    elementwise = True

    def update(self, ops, weight, gradient, slots, step_size, dtype):
        return weight - step_size * gradient, {}


class CopiesToAnother(SGD):
    def __deepcopy__(self, memo):
        return SGD(momentum=0.1)


class InPlace(Plain):
    def update(self, ops, weight, gradient, slots, step_size, dtype):
        weight -= step_size * gradient
        return weight, {}


class OfTheEngine(Plain):
    def update(self, ops, weight, gradient, slots, step_size, dtype):
        factor = 1.0 if isinstance(weight, np.ndarray) else 2.0
        return weight - factor * step_size * gradient, {}


class Ascent(Plain):
    def update(self, ops, weight, gradient, slots, step_size, dtype):
        return weight + step_size * gradient, {}


class OfTheWholeRun(Plain):
    def step_sizes(self, learning_rates, first_step):
        return learning_rates / len(learning_rates)


class ByTheNorm(Plain):
    def update(self, ops, weight, gradient, slots, step_size, dtype):
        return weight - step_size * gradient / ops.sqrt(ops.sum(ops.square(gradient))), {}


class OtherInEachProgram(Plain):
    def update(self, ops, weight, gradient, slots, step_size, dtype):
        return weight - next(COUNT) * step_size * gradient, {}


BROKEN = [
    Broken(Adam(), "test_the_name_is_registered"),
    Broken(CopiesToAnother(), "test_a_copy_is_equal", (copy.deepcopy,)),
    Broken(InPlace(), "test_an_update_changes_no_argument_and_keeps_shapes"),
    Broken(OfTheEngine(), "test_the_engine_steps_as_numpy_does"),
    Broken(Ascent(), "test_it_finds_a_minimum"),
    Broken(OfTheWholeRun(), "test_step_sizes_are_those_of_any_part_of_the_run"),
    Broken(ByTheNorm(), "test_an_elementwise_step_looks_at_no_neighbour"),
    Broken(Ascent(), "test_a_network_learns", ("tf",)),
    Broken(OtherInEachProgram(), "test_all_builders_agree"),
]


def test_there_is_a_broken_solver_for_each_test():
    assert {broken.clause for broken in BROKEN} == clauses(SolverSuite)


@pytest.mark.parametrize("broken", BROKEN, ids=repr)
def test_a_broken_solver_is_found_out(broken):
    check(SolverSuite, broken, name="sgd", solver=broken.plugin)
