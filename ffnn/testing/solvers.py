"""The conformance suite of solvers."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.base import clone

from ffnn.classifier import MLPClassifier
from ffnn.exceptions import UnsupportedError
from ffnn.model import Array, Arrays
from ffnn.ops import NumpyOps
from ffnn.plugins import registry
from ffnn.solver import Solver, StochasticSolver
from ffnn.testing._base import PluginSuite, installed_builders
from ffnn.testing._suite import engine_ops, make_problem, to_numpy, unless_refused

__all__ = ["SolverSuite"]


class SolverSuite(PluginSuite[Solver]):
    """Tests that every solver must pass.

    Attributes
    ----------
    name : str
        The registered name.
    solver : Solver
        The solver to test; by default made without arguments.
    rate : float
        A learning rate at which it minimises a parabola in 600 steps.
    """

    _kind = "solver"
    _base = Solver
    solver: ClassVar[Solver | None] = None
    rate: ClassVar[float] = 0.02

    # -- helpers

    def stochastic(self) -> StochasticSolver:
        """Return the solver; skip the test if it does not train by batches."""
        made = self.make()
        if not isinstance(made, StochasticSolver):
            pytest.skip("the solver takes all data at once")
        return made

    def run(self, gradient: Callable[[Array], Array], ops: Any, n_steps: int) -> tuple[Array, Arrays]:
        """Return a weight with three entries after ``n_steps`` steps, and its slots."""
        solver = self.stochastic()
        weight: Any = ops.cast(np.array([3.0, -2.0, 0.5]), "float64")
        slots = {name: ops.cast(np.full(3, value), "float64") for name, value in solver.slots.items()}
        for i, size in enumerate(solver.step_sizes(np.full(n_steps, self.rate), 0)):
            given = ops.cast(gradient(to_numpy(weight)) * (1 + i % 2), "float64")
            weight, slots = solver.update(ops, weight, given, slots, ops.cast(size, "float64"), "float64")
        return to_numpy(weight), {name: to_numpy(slot) for name, slot in slots.items()}

    # -- a description

    def test_the_name_is_registered(self) -> None:
        assert isinstance(self.make(), registry.load("solver", self.name))
        assert isinstance(self.make(), Solver)
        self.make().check()

    @pytest.mark.parametrize("copied", [clone, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
    def test_a_copy_is_equal(self, copied: Any) -> None:
        made = self.make()
        assert repr(copied(made)) == repr(made)
        assert copied(made).structure() == made.structure()
        assert hash(copied(made).structure()) == hash(made.structure())

    # -- steps

    def test_an_update_changes_no_argument_and_keeps_shapes(self) -> None:
        solver = self.stochastic()
        weight, gradient = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
        slots = {name: np.full((2, 3), value) for name, value in solver.slots.items()}
        before = copy.deepcopy((weight, gradient, slots))
        new, new_slots = solver.update(NumpyOps(), weight, gradient, slots, np.float64(0.1), "float64")
        np.testing.assert_equal((weight, gradient, slots), before)
        assert new.shape == weight.shape
        assert {name: slot.shape for name, slot in new_slots.items()} == dict.fromkeys(solver.slots, (2, 3))

    def test_the_engine_steps_as_numpy_does(self) -> None:
        numpy, engine = (self.run(lambda w: 2 * (w - 1), ops, 20) for ops in (NumpyOps(), engine_ops()))
        np.testing.assert_allclose(engine[0], numpy[0], rtol=1e-12)
        for name in numpy[1]:
            np.testing.assert_allclose(engine[1][name], numpy[1][name], rtol=1e-12)

    def test_it_finds_a_minimum(self) -> None:
        weight, _ = self.run(lambda w: w - 1, NumpyOps(), 600)
        np.testing.assert_allclose(weight, 1, atol=0.05)

    def test_step_sizes_are_those_of_any_part_of_the_run(self) -> None:
        solver, rates = self.stochastic(), np.linspace(0.1, 0.01, 10)
        together = solver.step_sizes(rates, 0)
        parts = [solver.step_sizes(rates[:4], 0), solver.step_sizes(rates[4:], 4)]
        np.testing.assert_array_equal(np.concatenate(parts), together)
        assert together.dtype == np.float64

    def test_an_elementwise_step_looks_at_no_neighbour(self) -> None:
        solver = self.stochastic()
        if not solver.elementwise:
            pytest.skip("the solver does not declare its steps elementwise")
        rng = np.random.default_rng(0)
        weight, gradient = rng.normal(size=6), rng.normal(size=6)
        slots = {name: np.full(6, value) for name, value in solver.slots.items()}
        size = np.float64(0.1)
        whole, _ = solver.update(NumpyOps(), weight, gradient, slots, size, "float64")
        halves = {name: slot[:3] for name, slot in slots.items()}
        part, _ = solver.update(NumpyOps(), weight[:3], gradient[:3], halves, size, "float64")
        np.testing.assert_array_equal(part, whole[:3])

    # -- on the builders

    def fitted(self, builder_name: str) -> MLPClassifier:
        """Return a small classifier trained by the solver."""
        problem = make_problem()
        estimator = MLPClassifier(
            (5,), solver=self.make(), learning_rate=self.rate, n_epochs=20, dtype="float64", builder=builder_name,
            random_state=0,
        )  # fmt: skip
        return estimator.fit(problem.x.arrays[0], problem.targets)

    def test_a_network_learns(self, builder_name: str) -> None:
        with unless_refused():
            curve = self.fitted(builder_name).loss_curve_
        assert curve[-1] < curve[0]

    def test_all_builders_agree(self) -> None:
        first, *others = installed_builders()
        with unless_refused():
            expected = self.fitted(first).loss_curve_
        for other in others:
            with suppress(UnsupportedError):
                np.testing.assert_allclose(self.fitted(other).loss_curve_, expected, rtol=1e-9, err_msg=other)
