from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris

from ffnn import MLPClassifier
from ffnn.exceptions import TrainingDivergedError
from ffnn.schedules import Constant
from ffnn.solvers import SGD, Adam
from ffnn.testing._suite import assert_states_equal
from ffnn.training.epochs import TrainingLoop, epoch_plan, initial_generator
from tests.support.estimators import state_of

X, Y = load_iris(return_X_y=True)


def plan_of(rows, batch_size=4, root_seed=0, epoch=0, first_step=0, solver=None):
    return epoch_plan(
        np.asarray(rows, dtype=np.int32), batch_size=batch_size, root_seed=root_seed, epoch=epoch,
        first_step=first_step, solver=solver or SGD(), schedule=Constant(0.1), horizon=1, weight_decay=0.0,
    )  # fmt: skip


def test_no_rows_make_no_batch():
    plan = plan_of([])
    assert (plan.n_batches, len(plan.order)) == (0, 0)


PLANS = {
    "rows": st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=60, unique=True),
    "batch_size": st.integers(1, 80),
    "root_seed": st.integers(0, 2**31 - 1),
    "epoch": st.integers(0, 1000),
}


@given(**PLANS)
@settings(deadline=None)
def test_every_row_is_in_one_batch_and_no_batch_is_empty(rows, batch_size, root_seed, epoch):
    plan = plan_of(rows, batch_size, root_seed, epoch)
    batches = [plan.batch(i) for i in range(plan.n_batches)]
    assert sorted(np.concatenate(batches)) == sorted(rows)
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert 1 <= len(batches[-1]) <= batch_size
    assert len(plan.batch(plan.n_batches)) == 0
    assert plan.step_sizes.shape == plan.learning_rates.shape == (plan.n_batches,)
    assert plan.seeds.shape == (plan.n_batches, 2)
    assert (plan.seeds.dtype, plan.step_sizes.dtype) == (np.int32, np.float64)


@given(**PLANS, first_step=st.integers(0, 10**6))
@settings(deadline=None)
def test_order_and_seeds_are_a_function_of_root_seed_and_epoch(rows, batch_size, root_seed, epoch, first_step):
    np.random.default_rng().random()
    one = plan_of(rows, batch_size, root_seed, epoch)
    other = plan_of(rows, batch_size, root_seed, epoch, first_step=first_step, solver=Adam())
    np.testing.assert_array_equal(one.order, other.order)
    np.testing.assert_array_equal(one.seeds, other.seeds)


def test_nobody_reorders_the_plan_of_another_fit():
    with pytest.raises(ValueError, match="read-only"):
        plan_of(range(10)).order[:] = 0


def test_plans_of_other_rows_or_batches_are_others():
    order = plan_of(range(20)).order
    assert set(plan_of(range(1, 21)).order) == set(range(1, 21))
    assert len(plan_of(range(20), batch_size=7).seeds) == 3
    assert not np.array_equal(plan_of(range(20), epoch=1).order, order)


@given(root_seed=st.integers(0, 2**31 - 1), epochs=st.sets(st.integers(0, 10**4), min_size=2, max_size=5))
@settings(deadline=None)
def test_epochs_differ_in_order_and_seeds(root_seed, epochs):
    plans = [plan_of(range(100), 10, root_seed, epoch) for epoch in epochs]
    assert len({plan.order.tobytes() for plan in plans}) == len(plans)
    seeds = np.vstack([plan.seeds for plan in plans])
    assert len(np.unique(seeds, axis=0)) == len(seeds)
    assert initial_generator(root_seed).random() != np.random.default_rng([root_seed, 1]).random()


def test_the_order_is_uniform():
    firsts = np.array([plan_of(range(4), epoch=epoch).order[0] for epoch in range(2000)])
    assert np.bincount(firsts, minlength=4).min() > 420


def test_the_steps_are_counted_over_epochs():
    solver = Adam()
    together = solver.step_sizes(np.full(8, 0.1), 0)
    parts = [plan_of(range(16), epoch=i, first_step=4 * i, solver=solver).step_sizes for i in range(2)]
    np.testing.assert_array_equal(np.concatenate(parts), together)


def training(on_epoch=lambda *_: False, epochs=range(3, 6)):
    return TrainingLoop(
        model=None, rows=np.arange(4), epochs=epochs, batch_size=2, schedule=Constant(0.5), horizon=6, weight_decay=0.0,
        root_seed=0, on_epoch=on_epoch,
    )  # fmt: skip


def test_epochs_are_counted_from_where_they_start():
    calls = []
    run = training(lambda *call: calls.append(call))
    assert not run.end_epoch(0.5)
    run.end_epoch(0.25)
    run.finish(9.0)
    assert calls == [(3, 0.5, None), (4, 0.25, None)]


def test_a_run_without_an_epoch_is_recorded_once():
    calls = []
    training(lambda *call: calls.append(call)).finish(0.75)
    assert calls == [(3, 0.75, None)]


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_ends_the_training(loss):
    with pytest.raises(
        TrainingDivergedError, match=r"became (nan|inf) in epoch 3. Lower learning_rate .it is 0.5.*Standard"
    ):
        training().end_epoch(loss)


# --- on estimators


def classifier(**parameters):
    defaults = {"hidden_units": (6,), "dropout": 0.3, "batch_size": 40, "random_state": 0}
    return MLPClassifier(**defaults | parameters)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_fit_is_as_many_partial_fits(solver, builder):
    whole = classifier(n_epochs=4, solver=solver, builder=builder).fit(X, Y)
    parts = classifier(solver=solver, builder=builder)
    for _ in range(4):
        parts.partial_fit(X, Y, classes=[0, 1, 2])
    assert_states_equal(state_of(parts), state_of(whole))
    assert parts.loss_curve_ == whole.loss_curve_
    np.testing.assert_array_equal(parts.predict_proba(X), whole.predict_proba(X))


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "rmsprop", "adagrad"])
def test_resumed_from_a_pickle_equals_uninterrupted(solver):
    parameters = {"solver": solver, "weight_decay": 0.01, "dtype": "float32"}
    uninterrupted, resumed = classifier(**parameters), classifier(**parameters)
    for _ in range(4):
        uninterrupted.partial_fit(X, Y, classes=[0, 1, 2])
        resumed = pickle.loads(pickle.dumps(resumed.partial_fit(X, Y, classes=[0, 1, 2])))
    assert_states_equal(state_of(resumed), state_of(uninterrupted))
    assert resumed.loss_curve_ == uninterrupted.loss_curve_
    assert resumed.n_iter_ == 4
    assert state_of(resumed).step == 16
    np.testing.assert_array_equal(resumed.predict_proba(X), uninterrupted.predict_proba(X))


def test_fit_begins_anew_and_partial_fit_goes_on(builder):
    estimator = classifier(n_epochs=2, builder=builder).fit(X, Y)
    once = state_of(estimator)
    estimator.partial_fit(X, Y)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 3
    assert_states_equal(state_of(estimator.fit(X, Y)), once)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 2


def test_the_loss_curve_has_no_penalty_in_it():
    curves = [classifier(n_epochs=1, batch_size=500, weight_decay=w).fit(X, Y).loss_curve_ for w in (0.0, 10.0)]
    assert curves[0] == curves[1]


def test_weight_decay_shrinks_kernels():
    for solver in ("adam", "adamw", "sgd"):
        parameters = {"n_epochs": 20, "dropout": None, "solver": solver, "learning_rate": 0.01}
        norms = [
            sum(np.sum(kernel**2) for kernel in classifier(weight_decay=w, **parameters).fit(X, Y).coefs_)
            for w in (0.0, 0.1, 3.0)
        ]
        assert norms == sorted(norms, reverse=True)
