"""The kernel does what Adam's formula says, on every level of instructions and any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from ffnn import Adam, AdamW
from ffnn.kernels import LEVELS, _open, load, sparse_adam
from ffnn.kernels.csr import CSR
from ffnn.kernels.sparse_adam import AdamArrays, SparseAdam
from ffnn.kernels.threads import Threads
from ffnn.lazy_rows import StepHistory
from ffnn.ops import NumpyOps
from ffnn.schedules import Cosine
from ffnn.training.epochs import epoch_plan

BATCH, N_ROWS = 8, 60
PLAIN = load("sparse_adam") and _open("sparse_adam", LEVELS[-1])
RUNNING = [level for level in LEVELS if PLAIN and PLAIN.ffnn_runs(level) and _open("sparse_adam", level)]


@pytest.fixture(params=RUNNING)
def level(request, monkeypatch):
    library = _open("sparse_adam", request.param)
    monkeypatch.setattr(sparse_adam, "load", lambda name: library)
    return request.param


def rows_of(n_features, per_row, seed=0):
    """Return rows with unsorted columns, some of them twice in a row, as CSR and as they are summed up."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 2 * per_row, N_ROWS)
    splits = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    columns = (n_features * rng.random(splits[-1]) ** 2).astype(np.int32)
    values = rng.normal(size=splits[-1]).astype(np.float32)
    dense = scipy.sparse.csr_array((values, columns, splits), (N_ROWS, n_features)).toarray()
    return CSR(splits, columns, values), dense


def plans_of(solver, weight_decay, n_epochs=3):
    n_steps = -(-N_ROWS // BATCH)
    return [
        epoch_plan(
            np.arange(N_ROWS, dtype=np.int32), batch_size=BATCH, root_seed=0, epoch=epoch, first_step=epoch * n_steps,
            solver=solver, schedule=Cosine(0.05), horizon=n_epochs, weight_decay=weight_decay,
        )
        for epoch in range(n_epochs)
    ]  # fmt: skip


def slopes_of(products, i):
    """Return what a network might: it depends on the products, so that an error grows."""
    return np.tanh(products) * 0.1 + np.float32(0.01) * np.cos(np.float32(i))


def train(solver, x, slots, plans, n_threads=1):
    """Return the products of all batches; the slots change in place."""
    adam = SparseAdam(solver, *slots.weight.shape)
    found = []
    with Threads(n_threads) as threads:
        for plan in plans:
            decays = plan.weight_decay > 0 and not solver.decoupled
            adam.begin(slots, plan, decays=decays, shrinks=plan.weight_decay > 0 and solver.decoupled)
            adam.fetch(x, plan.batch(0))
            products = adam.advance(None, threads)
            for i in range(plan.n_batches):
                found.append(products.copy())
                if i + 1 < plan.n_batches:
                    adam.fetch(x, plan.batch(i + 1))
                products = adam.advance(slopes_of(found[-1], i), threads)
            assert products is None
        if adam.waiting:
            adam.settle(slots, threads)
        assert not adam.waiting
    return np.concatenate(found)


def by_formula(solver, dense, slots, plans):
    """Do the same with the solver's own formula, in float64, in all rows in every step."""
    weight, named = slots.weight.astype(float), {"mean": slots.mean.astype(float), "square": slots.square.astype(float)}
    found = []
    for plan in plans:
        for i in range(plan.n_batches):
            x = dense[plan.batch(i)].astype(float)
            found.append(x @ weight)
            gradient = x.T @ slopes_of(found[-1], i)
            if plan.clip_value is not None:
                gradient = np.clip(gradient, -plan.clip_value, plan.clip_value)
            if solver.decoupled:
                weight = weight * (1 - plan.learning_rates[i] * plan.weight_decay)
            else:
                gradient = gradient + plan.weight_decay * weight
            weight, named = solver.update(NumpyOps(), weight, gradient, named, plan.step_sizes[i], "float32")
    return np.concatenate(found), weight, named


def slots_of(n_features, n_units):
    rng = np.random.default_rng(1)
    mean = rng.normal(size=(n_features, n_units)).astype(np.float32) * 1e-2
    return AdamArrays(rng.normal(size=(n_features, n_units)).astype(np.float32), mean, mean**2 + np.float32(1e-4))


def test_there_is_a_kernel_here():
    assert 0 in RUNNING, "building the package compiles it where there is a C compiler"


SOLVERS = [
    (Adam(), 0.0),
    (Adam(beta_1=0.8, beta_2=0.99, epsilon=1e-4), 0.0),
    (Adam(beta_1=0.0), 0.0),
    (Adam(clip_value=1e-2), 0.0),
    (Adam(), 0.1),
    (AdamW(), 0.3),
]


@pytest.mark.parametrize(("solver", "weight_decay"), SOLVERS, ids=repr)
def test_passes_are_the_steps_of_the_formula(solver, weight_decay, level):
    x, dense = rows_of(300, 10)
    plans, slots = plans_of(solver, weight_decay), slots_of(300, 70)
    products, weight, named = by_formula(solver, dense, slots, plans)
    found = train(solver, x, slots, plans)
    np.testing.assert_allclose(found, products, atol=1e-4)
    np.testing.assert_allclose(slots.weight, weight, atol=2e-5)
    np.testing.assert_allclose(slots.mean, named["mean"], atol=1e-6)
    np.testing.assert_allclose(slots.square, named["square"], atol=1e-6)


@pytest.mark.parametrize("n_units", [1, 17, 64, 150])
@pytest.mark.parametrize(
    ("n_features", "per_row"), [(1, 2), (7, 3), (500, 200), (40_000, 20), (300_000, 3)], ids=str
)  # fewer than there are lanes; dense, which is sorted by counting; wide, which is sorted by digits
def test_any_shape_goes(n_features, per_row, n_units, level):
    n_units = min(n_units, 64) if n_features > 100_000 else n_units
    x, dense = rows_of(n_features, per_row)
    plans, slots = plans_of(Adam(), 0.0, n_epochs=1), slots_of(n_features, n_units)
    met = np.flatnonzero(np.abs(dense).sum(axis=0) > 0)
    some = AdamArrays(slots.weight[met], slots.mean[met], slots.square[met])
    products, weight, _ = by_formula(Adam(), dense[:, met], some, plans)
    np.testing.assert_allclose(train(Adam(), x, slots, plans), products, atol=2e-3)
    np.testing.assert_allclose(slots.weight[met], weight, atol=2e-5)


def test_threads_change_no_bit():
    x, _ = rows_of(5_000, 300)
    results = []
    for n_threads in (1, 2, 5, 20):
        slots = slots_of(5_000, 40)
        products = train(Adam(), x, slots, plans_of(Adam(), 0.0), n_threads)
        results.append((products, slots.weight, slots.mean, slots.square))
    for other in results[1:]:
        for mine, theirs in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_the_data_stays_as_it_is():
    x, _ = rows_of(300, 10)
    before = x.columns.copy(), x.values.copy()
    for array in (x.splits, x.columns, x.values):
        array.flags.writeable = False
    train(Adam(), x, slots_of(300, 8), plans_of(Adam(), 0.0))
    np.testing.assert_array_equal(x.columns, before[0])
    np.testing.assert_array_equal(x.values, before[1])


class Mine(Adam):
    """Of a stranger's, who may step otherwise."""


@pytest.mark.parametrize("solver", [Mine(), Adam(clip_norm=1.0), Adam(beta_1=0.999)], ids=repr)
def test_what_is_not_its_step_is_left_to_others(solver):
    assert not SparseAdam.takes(solver)
    assert SparseAdam.takes(Adam(clip_value=1.0))


def test_large_batches_have_fewer_lanes(monkeypatch):
    """Each lane has products of its own, which are not to take more memory than a few batches."""
    monkeypatch.setattr("ffnn.kernels.sparse_adam.PRODUCTS", 4 * BATCH * 80 * 3)
    x, dense = rows_of(300, 10)
    plans, slots = plans_of(Adam(), 0.0), slots_of(300, 50)
    products, weight, _ = by_formula(Adam(), dense, slots, plans)
    adams = []
    monkeypatch.setattr(Threads, "run", lambda self, f, p, run=Threads.run: (adams.append(p.n_lanes), run(self, f, p)))
    np.testing.assert_allclose(train(Adam(), x, slots, plans, 2), products, atol=1e-4)
    np.testing.assert_allclose(slots.weight, weight, atol=2e-5)
    assert set(adams) == {3}


def test_what_is_remembered_of_idle_steps_is_bounded():
    plan = epoch_plan(
        np.arange(100_000, dtype=np.int32), batch_size=1, root_seed=0, epoch=0, first_step=0, solver=AdamW(),
        schedule=Cosine(0.05), horizon=2, weight_decay=0.1,
    )  # fmt: skip
    clock = StepHistory(AdamW().lazy_rows())
    clock.advance(plan, shrinks=True)
    assert sum(array.nbytes for array in (clock.ends, clock.sums, clock.logs)) <= 24 * 100_001 + 4
    assert not clock.is_full
    clock.advance(plan, shrinks=True)
    clock.advance(plan, shrinks=True)
    assert clock.is_full
