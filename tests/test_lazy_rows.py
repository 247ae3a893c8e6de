"""Rows that wait until a batch meets them end where they would have been."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse

from ffnn import SGD, Adagrad, Adam, AdamW, MLPClassifier, MLPRegressor, RMSprop
from ffnn.lazy_rows import StepHistory
from ffnn.ops import NumpyOps
from ffnn.schedules import Cosine
from ffnn.solver import StochasticSolver
from ffnn.training.epochs import epoch_plan
from ffnn_plugins.inputs.sparse import SparseInput
from tests.support.estimators import state_of

pytestmark = pytest.mark.slow

SOLVERS = [
    Adam(),
    Adam(beta_1=0.8, beta_2=0.99, epsilon=1e-3),
    AdamW(),
    SGD(),
    SGD(momentum=0.5, nesterov=False),
    SGD(momentum=0.0),
    RMSprop(),
    Adagrad(),
    Adam(clip_norm=0.1),
]
RNG = np.random.default_rng(0)
X = scipy.sparse.random(300, 900, density=0.004, format="csr", random_state=0)
Y = RNG.integers(0, 2, 300)


def plan_of(solver, n_rows=64, epoch=0, first_step=0):
    return epoch_plan(
        np.arange(n_rows, dtype=np.int32), batch_size=4, root_seed=0, epoch=epoch, first_step=first_step,
        solver=solver, schedule=Cosine(0.01), horizon=2, weight_decay=0.3,
    )  # fmt: skip


@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_many_steps_at_once_are_the_steps_one_by_one(solver):
    """As the formula of the solver itself, applied step by step to a gradient of zero, says."""
    lazy_rows, ops = solver.lazy_rows(), NumpyOps()
    weight = RNG.normal(size=(5, 3))
    slots = {name: RNG.uniform(0.1, 1, size=(5, 3)) * 10.0 ** -np.arange(0, 10, 2)[:, None] for name in solver.slots}
    history, shrinks = StepHistory(lazy_rows), solver.decoupled
    plans = [plan_of(solver), plan_of(solver, epoch=1, first_step=16)]
    for plan in plans:
        history.advance(plan, shrinks)
    expected, now = weight, dict(slots)
    for step in range(5, 32):
        plan, i = plans[step // 16], step % 16
        if shrinks:
            expected = expected * (1 - plan.learning_rates[i] * plan.weight_decay)
        expected, now = solver.update(ops, expected, np.zeros_like(expected), now, plan.step_sizes[i], "float64")
    assert history.ends.tolist() == [16, 32]
    found, then = weight, 5
    for k, end in enumerate(history.ends):  # the arrays have a row more for each segment before
        kept, gap = np.exp(history.logs[end + k] - history.logs[then + k]), end - then
        moves = kept * history.sums[then + k] - np.power(lazy_rows.ratios, gap) * history.sums[end + k]
        found = kept * found
        for move, direction in zip(
            moves, lazy_rows.directions(ops, slots) if lazy_rows.directions else [], strict=True
        ):
            found = found + move * direction
        slots = {name: slot * lazy_rows.decays[name] ** gap for name, slot in slots.items()}
        then = end
    np.testing.assert_allclose(found, expected, atol=2e-6)
    for name, slot in now.items():
        np.testing.assert_allclose(slots[name], slot, rtol=1e-9)


@pytest.mark.parametrize("builder", ["tf", "keras"])
@pytest.mark.parametrize("solver", SOLVERS, ids=repr)
def test_a_fit_is_that_of_a_dense_batch(solver, builder):
    one, other = (
        MLPClassifier(
            (8,), batch_size=16, n_epochs=3, solver=solver, builder=builder, input_layer=SparseInput(batches),
            weight_decay=0.1 if solver.decoupled else 0.0, random_state=0, dtype="float64",
        ).fit(X, Y)
        for batches in ("dense", "stored")
    )  # fmt: skip
    assert (one.network_.input.batches, other.network_.input.batches) == ("dense", "stored")
    np.testing.assert_allclose(other.loss_curve_, one.loss_curve_, atol=1e-6)
    for mine, theirs in zip(other.coefs_, one.coefs_, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    for slot, value in state_of(one).slots.items():
        np.testing.assert_allclose(state_of(other).slots[slot], value, atol=1e-6)


def fit(batches, hidden_units=(8,), **kwargs):
    return MLPClassifier(
        hidden_units, batch_size=16, n_epochs=3, input_layer=SparseInput(batches), random_state=0, dtype="float64",
        **{"builder": "tf"} | kwargs,
    )  # fmt: skip


@pytest.mark.parametrize(
    "kwargs",
    [{"weight_decay": 0.1}, {"dropout": 0.4}, {"block": ("batch_norm", "affine", "activation")}, {"hidden_units": ()}],
    ids=str,
)
@pytest.mark.parametrize("builder", ["tf", "keras"])
def test_where_rows_cannot_wait_they_do_not(builder, kwargs):
    """An L2 penalty reaches every row in every step; batch norm takes dense rows; the others wait and are the same."""
    one, other = (fit(batches, builder=builder, **kwargs).fit(X, Y) for batches in ("dense", "stored"))
    np.testing.assert_allclose(other.loss_curve_, one.loss_curve_, atol=1e-6)
    np.testing.assert_allclose(other.predict_proba(X), one.predict_proba(X), atol=1e-5)


def test_what_is_read_between_epochs_is_up_to_date():
    watched = fit("stored")
    states = []

    def look(epoch, estimator, stats):
        states.append(pickle.loads(pickle.dumps(estimator)))

    watched.fit(X, Y, monitor=look, X_val=X[:50], y_val=Y[:50])
    quiet = fit("stored").fit(X, Y)
    np.testing.assert_allclose(watched.coefs_[0], quiet.coefs_[0], atol=1e-6)
    resumed = states[0].set_params(n_epochs=3)
    for _ in range(2):
        resumed.partial_fit(X, Y)
    np.testing.assert_allclose(resumed.coefs_[0], quiet.coefs_[0], atol=1e-6)


def test_weight_decay_may_begin_while_rows_wait():
    one, other = (fit(batches) for batches in ("dense", "stored"))
    for estimator in (one, other):
        estimator.partial_fit(X, Y, classes=[0, 1])
        estimator.set_params(weight_decay=0.05).partial_fit(X, Y)
        estimator.set_params(weight_decay=0.0).partial_fit(X, Y)
    np.testing.assert_allclose(other.coefs_[0], one.coefs_[0], atol=1e-5)


def test_no_score_depends_on_the_rows_beside_it():
    fitted = MLPRegressor((8,), n_epochs=1, input_layer=SparseInput("stored"), random_state=0, dtype="float32")
    together = fitted.fit(X, np.asarray(X.sum(axis=1)).ravel()).predict(X)
    alone = np.concatenate([fitted.predict(X[i : i + 1]) for i in range(0, 300, 37)])
    np.testing.assert_array_equal(alone, together[::37])


class Unknown(StochasticSolver):
    """Of a stranger's, who says nothing of what it does at a zero gradient."""

    def update(self, ops, weight, gradient, slots, step_size, dtype):
        return weight - step_size * (gradient + 0.01 * ops.sign(weight)), {}


def test_a_solver_that_says_nothing_steps_in_every_row():
    assert Unknown().lazy_rows() is None
    one, other = (fit(batches, solver=Unknown()).fit(X, Y) for batches in ("dense", "stored"))
    np.testing.assert_allclose(other.coefs_[0], one.coefs_[0], atol=1e-12)
