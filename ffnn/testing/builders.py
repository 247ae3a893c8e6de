"""The conformance suite of builders."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from ffnn.builder import Builder
from ffnn.model import Arrays, Model, State
from ffnn.ops import NumpyOps
from ffnn.plugins import registry
from ffnn.solver import Solver, StochasticSolver, clipped
from ffnn.solvers import SGD
from ffnn.testing._finite import FiniteSuite
from ffnn.testing._hidden_layers import HiddenLayersSuite
from ffnn.testing._precision import PrecisionSuite
from ffnn.testing._suite import OUTPUTS, Problem, assert_states_equal, make_problem

__all__ = ["BuilderSuite"]

_SOLVERS = [entry.name for entry in registry.entries() if entry.kind == "solver" and entry.built_in]
STOCHASTIC = [name for name in _SOLVERS if registry.load("solver", name).stochastic]
CLIPPING = [SGD(clip_norm=0.02), SGD(clip_value=0.01)]


class BuilderSuite(FiniteSuite, HiddenLayersSuite, PrecisionSuite):
    """Tests that every builder must pass.

    Attributes
    ----------
    name : str
        The registered name.
    builder : Builder
        The builder to test; by default made without arguments.
    mixed_precision : bool
        Whether its models compute in bfloat16; True by default. If not, it must refuse such a network.
    """

    # -- a description

    def test_the_name_is_registered(self) -> None:
        assert isinstance(self.make(), registry.load("builder", self.name))
        assert isinstance(self.make(), Builder)
        self.make().check_installed()

    @pytest.mark.parametrize("copied", [clone, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
    def test_a_copy_has_the_same_parameters(self, copied: Any) -> None:
        assert repr(copied(self.make())) == repr(self.make())

    # -- state

    def test_initial_weights_are_a_function_of_the_generator(self) -> None:
        model = self.model(make_problem())
        one, again, other = (model.initial_weights(np.random.default_rng(seed)) for seed in (0, 0, 1))
        assert list(one) == list(other)
        assert set(model.trainable) <= set(one)
        for name in one:
            np.testing.assert_array_equal(one[name], again[name])
        assert any(not np.array_equal(one[name], other[name]) for name in one)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_a_state_goes_in_and_out_exactly(self, dtype: str) -> None:
        problem = make_problem(dtype=dtype, rate=0.3)
        model = self.model(problem)
        model.train_epoch(problem.plan())
        state = model.get_state()
        assert state.step == model.get_step() == problem.plan().n_batches
        assert {array.dtype for array in state.weights.values()} == {np.dtype(dtype)}
        assert any(array.any() for array in state.slots.values())
        assert_states_equal(self.model(problem, pickle.loads(pickle.dumps(state))).get_state(), state)

    def test_a_state_is_a_copy(self) -> None:
        problem = make_problem()
        model = self.model(problem)
        state = model.get_state()
        before = copy.deepcopy(state)
        model.train_epoch(problem.plan())
        assert_states_equal(state, before)
        state.weights[next(iter(state.weights))][:] = 0
        assert any(array.any() for array in model.get_state().weights.values())

    def test_a_state_of_another_architecture_is_refused(self) -> None:
        model = self.model(make_problem())
        with pytest.raises(ValueError, match="another architecture"):
            model.set_state(State(make_problem(hidden_units=(7,)).initial_weights()))
        with pytest.raises(ValueError, match="another architecture"):
            model.set_state(State(make_problem(hidden_units=(5, 5)).initial_weights()))

    @pytest.mark.parametrize("solver", STOCHASTIC)
    def test_resumed_equals_uninterrupted(self, solver: str) -> None:
        problem = make_problem(solver=solver, rate=0.4, dtype="float32")
        model = self.model(problem)
        model.train_epoch(problem.plan(0))
        saved = pickle.loads(pickle.dumps(model.get_state()))
        loss = model.train_epoch(problem.plan(1))
        resumed = self.model(problem, saved)
        assert resumed.train_epoch(problem.plan(1)) == loss
        assert_states_equal(resumed.get_state(), model.get_state())

    # -- scores

    @pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_scores_are_those_of_the_description(self, sparse: bool, dtype: str) -> None:
        problem = make_problem(sparse=sparse, dtype=dtype, rate=0.4, hidden_units=(5, 4), n_rows=150)
        scores = self.model(problem).forward(problem.x)
        assert scores.dtype == dtype
        tolerance = 1e-4 if dtype == "float32" else 1e-10
        np.testing.assert_allclose(scores, problem.scores(problem.initial_weights()), rtol=tolerance, atol=tolerance)

    @pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
    def test_scores_do_not_depend_on_the_neighbours(self, sparse: bool) -> None:
        problem = make_problem(sparse=sparse, dtype="float32", n_rows=150)
        model = self.model(problem)
        everything = model.forward(problem.x)
        for rows in ([0], [149], [70, 3], range(60, 130)):
            np.testing.assert_array_equal(model.forward(problem.rows(rows)), everything[rows])

    # -- gradients

    @pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
    @pytest.mark.parametrize("output", OUTPUTS)
    def test_gradients_are_those_of_finite_differences(self, output: str, sparse: bool) -> None:
        problem = make_problem(output, sparse=sparse, hidden_units=(3,))
        weights = problem.initial_weights()
        loss, gradient = self.model(problem).loss_and_gradient(weights)
        assert loss == pytest.approx(problem.loss(weights), rel=1e-9)
        for name, array in weights.items():
            for index in np.ndindex(array.shape):
                up, down = ({**weights, name: array.copy()} for _ in range(2))
                up[name][index] += 1e-6
                down[name][index] -= 1e-6
                difference = (problem.loss(up) - problem.loss(down)) / 2e-6
                assert gradient[name][index] == pytest.approx(difference, rel=1e-4, abs=1e-8), (name, index)

    def test_a_gradient_takes_all_rows_of_a_large_data_set(self) -> None:
        problem = make_problem(n_rows=1000, hidden_units=())
        weights = problem.initial_weights()
        loss, gradient = self.model(problem).loss_and_gradient(weights)
        assert loss == pytest.approx(problem.loss(weights), rel=1e-9)
        bias = list(weights)[-1]
        scores = problem.scores(weights)
        p = np.exp(NumpyOps().log_softmax(scores))
        expected = problem.weight @ (p - np.eye(3)[problem.targets]) / problem.weight.sum()
        np.testing.assert_allclose(gradient[bias], expected, rtol=1e-9)

    # -- training

    @pytest.mark.parametrize("weight_decay", [0.0, 0.1])
    @pytest.mark.parametrize("solver", [*STOCHASTIC, *CLIPPING], ids=str)
    def test_a_step_is_the_solvers(self, solver: str | Solver, weight_decay: float) -> None:
        problem = make_problem(solver=solver)
        model, other = self.model(problem), self.model(problem)
        weights: Arrays = problem.initial_weights()
        slots = _initial_slots(problem.solver, weights)
        for epoch in range(3):
            plan = problem.plan(epoch, batch_size=problem.n_rows, weight_decay=weight_decay)
            expected_loss, gradient = other.loss_and_gradient(weights)
            assert model.train_epoch(plan) == pytest.approx(expected_loss, rel=1e-9)
            _numpy_step(problem.solver, model, plan, weights, slots, gradient)
            state = model.get_state()
            for name in weights:
                np.testing.assert_allclose(state.weights[name], weights[name], rtol=1e-7, atol=1e-10, err_msg=name)

    @pytest.mark.parametrize(("name", "order"), [("clip_norm", 2), ("clip_value", np.inf)])
    def test_a_step_goes_as_far_as_its_bound_and_no_further(self, name: str, order: float) -> None:
        def length(bound: float) -> float:
            problem = make_problem(solver=SGD(momentum=0.0).set_params(**{name: bound}))
            model = self.model(problem)
            model.train_epoch(problem.plan(batch_size=problem.n_rows, learning_rate=1.0))
            before, after = problem.initial_weights(), model.get_state().weights
            return float(np.linalg.norm(np.concatenate([(after[k] - before[k]).ravel() for k in before]), order))

        free = length(1e3)
        assert length(free / 4) == pytest.approx(free / 4, rel=1e-6)
        assert length(free * 4) == pytest.approx(free, rel=1e-12)

    def test_an_epochs_loss_is_the_weighted_mean_over_its_batches(self) -> None:
        problem = make_problem(solver=SGD(momentum=0.0))
        plan = problem.plan(learning_rate=1e-12)
        assert self.model(problem).train_epoch(plan) == pytest.approx(problem.loss(problem.initial_weights()))

    def test_only_the_rows_of_the_plan_are_trained_on(self) -> None:
        problem = make_problem(dtype="float32")
        few = problem.plan(rows=range(0, 37, 3))
        one, other = self.model(problem), self.model(problem)
        weight = np.where(np.arange(37) % 3, np.nan, problem.weight).astype("float32")
        other.load(problem.x, problem.targets, weight)
        assert one.train_epoch(few) == other.train_epoch(few)
        assert_states_equal(one.get_state(), other.get_state())

    @pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
    def test_dropout_follows_the_seeds_and_the_rate(self, sparse: bool) -> None:
        def trained(rate: float, epoch: int) -> Any:
            problem = make_problem(sparse=sparse, rate=rate)
            model = self.model(problem)
            plan = problem.plan(0)
            object.__setattr__(plan, "seeds", problem.plan(epoch).seeds)
            model.train_epoch(plan)
            return model.get_state()

        assert_states_equal(trained(0.4, 0), trained(0.4, 0))
        for other in (trained(0.4, 1), trained(0.1, 0)):
            with pytest.raises(AssertionError):
                assert_states_equal(trained(0.4, 0), other)

    def test_missing_labels_are_never_nan(self) -> None:
        y = np.array([[1, 0, -1]] * 3 + [[-1, -1, -1]] * 5)
        problem = make_problem("multilabel", y=y, n_rows=8, solver=SGD(momentum=0.0))
        model = self.model(problem)
        before = model.get_state()
        assert model.train_epoch(problem.plan(rows=range(3, 8), batch_size=2)) == 0
        for name, array in model.get_state().weights.items():
            np.testing.assert_array_equal(array, before.weights[name])
        assert model.train_epoch(problem.plan(batch_size=2)) > 0
        assert all(np.isfinite(array).all() for array in model.get_state().weights.values())
        model.load(problem.rows(range(3, 8)), problem.targets[3:], problem.weight[3:])
        loss, gradient = model.loss_and_gradient(problem.initial_weights())
        assert loss == 0
        assert not any(array.any() for array in gradient.values())

    # -- several models

    def test_two_models_do_not_disturb_each_other(self) -> None:
        problems = [make_problem(rate=rate, dtype="float32") for rate in (0.2, 0.5)]
        alone = [self._train(problem) for problem in problems]
        models = [self.model(problem) for problem in problems]
        for epoch in range(3):
            for model, problem in zip(models, problems, strict=True):
                model.train_epoch(problem.plan(epoch))
                model.forward(problem.x)
        for model, expected in zip(models, alone, strict=True):
            assert_states_equal(model.get_state(), expected)

    def test_models_train_in_threads_as_alone(self) -> None:
        problem = make_problem(rate=0.3, dtype="float32")
        expected = self._train(problem)
        states: list[State] = []
        threads = [threading.Thread(target=lambda: states.append(self._train(problem))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(states) == 4
        for state in states:
            assert_states_equal(state, expected)

    def _train(self, problem: Problem) -> State:
        model = self.model(problem)
        for epoch in range(3):
            model.train_epoch(problem.plan(epoch))
        model.unload()
        return model.get_state()


def _initial_slots(solver: Solver, weights: Arrays) -> dict[str, Arrays]:
    assert isinstance(solver, StochasticSolver)
    return {
        name: {slot: np.full_like(array, value) for slot, value in solver.slots.items()}
        for name, array in weights.items()
    }


def _numpy_step(
    solver: Solver, model: Model, plan: Any, weights: Arrays, slots: dict[str, Arrays], gradient: Arrays
) -> None:
    """Take a step in NumPy, as the documentation of solvers describes it."""
    assert isinstance(solver, StochasticSolver)
    gradients = clipped(NumpyOps(), list(gradient.values()), "float64", **plan.clipping)
    gradient = dict(zip(gradient, gradients, strict=True))
    for name, decays in model.trainable.items():
        total = gradient[name]
        if decays and solver.decoupled:
            weights[name] = weights[name] * (1 - plan.learning_rates[0] * plan.weight_decay)
        elif decays:
            total = total + plan.weight_decay * weights[name]
        weights[name], slots[name] = solver.update(
            NumpyOps(), weights[name], total, slots[name], plan.step_sizes[0], "float64"
        )
