"""The kernels refuse what would lead them out of their arrays, whoever calls them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ffnn import Adam
from ffnn.kernels.csr import CSR
from ffnn.kernels.sparse_adam import AdamArrays, SparseAdam
from ffnn.kernels.sparse_products import multiply
from ffnn.kernels.threads import Threads
from ffnn.schedules import Constant
from ffnn.training.epochs import epoch_plan

N_ROWS, N_FEATURES, N_UNITS, PER_ROW = 200, 300, 20, 6


def rows(*, in_order=True):
    rng = np.random.default_rng(0)
    columns = np.stack([rng.permutation(N_FEATURES)[:PER_ROW] for _ in range(N_ROWS)]).astype(np.int32)
    columns = np.sort(columns, axis=1) if in_order else columns
    splits = np.arange(0, N_ROWS * PER_ROW + 1, PER_ROW, dtype=np.int32)
    return CSR(splits, columns.ravel(), rng.random(columns.size, np.float32))


def changed(name, place, value, **kwargs):
    x = rows(**kwargs)
    getattr(x, name)[place] = value
    return x


MALFORMED = {
    "too large": changed("columns", 5, N_FEATURES),
    "far too large": changed("columns", 5, 2**31 - 1),
    "negative": changed("columns", 0, -1),
    "too large, out of order": changed("columns", 3, N_FEATURES, in_order=False),
    "far too large, out of order": changed("columns", 3, 2**31 - 1, in_order=False),
    "negative, out of order": changed("columns", 3, -(2**31), in_order=False),
    "splits fall": changed("splits", 7, 2**31 - 1),
    "splits are negative": changed("splits", 0, -5),
    "splits end beyond": changed("splits", -1, N_ROWS * PER_ROW + 50),
    "fewer columns": dataclasses.replace(rows(), columns=rows().columns[:-4], values=rows().values[:-4]),
    "fewer values": dataclasses.replace(rows(), values=rows().values[:-4]),
    "other dtypes": dataclasses.replace(rows(), values=rows().values.astype(np.float64)),
    "int64": dataclasses.replace(rows(), splits=rows().splits.astype(np.int64)),
    "every other one": dataclasses.replace(rows(), columns=np.repeat(rows().columns, 2)[::2]),
}


def slots(shape=(N_FEATURES, N_UNITS)):
    return AdamArrays(*(np.ones(shape, np.float32) for _ in range(3)))


PLAN = epoch_plan(
    np.arange(N_ROWS, dtype=np.int32), batch_size=64, root_seed=0, epoch=0, first_step=0, solver=Adam(),
    schedule=Constant(0.1), horizon=1, weight_decay=0.0,
)  # fmt: skip


def begun():
    adam = SparseAdam(Adam(), N_FEATURES, N_UNITS)
    adam.begin(slots(), PLAN, decays=False, shrinks=False)
    return adam


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_rows_are_neither_fetched_nor_multiplied(name):
    x = MALFORMED[name]
    with pytest.raises(ValueError, match="expected|x has"):
        begun().fetch(x)
    for n_threads in (1, 3):
        with pytest.raises(ValueError, match="expected|x has"):
            multiply(x, np.ones((N_FEATURES, N_UNITS), np.float32), np.empty((N_ROWS, N_UNITS), np.float32), n_threads)


@pytest.mark.parametrize("some", [[N_ROWS], [-1], [2**31 - 1], [0, -(2**31)]], ids=str)
def test_rows_that_are_not_there_are_refused(some):
    with pytest.raises(ValueError, match="rows: expected numbers from 0 to 199"):
        begun().fetch(rows(), np.array(some, np.int32))


def test_arrays_of_other_shapes_are_refused():
    x, adam = rows(), begun()
    weight, products = np.ones((N_FEATURES, N_UNITS), np.float32), np.empty((N_ROWS, N_UNITS), np.float32)
    for arguments in ((x, weight[:, ::2], products), (x, weight, products[:-1]), (x, weight.T.copy().T, products)):
        with pytest.raises(ValueError, match="expected"):
            multiply(*arguments, 1)
    with pytest.raises(ValueError, match=r"weight: expected float32 of shape \(300, 20\)"):
        adam.begin(slots((N_FEATURES - 1, N_UNITS)), PLAN, decays=False, shrinks=False)
    with Threads(1) as threads:
        adam.fetch(x)
        adam.advance(None, threads)
        with pytest.raises(ValueError, match=r"gradients: expected float32 of shape \(200, 20\)"):
            adam.advance(np.zeros((N_ROWS - 1, N_UNITS), np.float32), threads)


@pytest.mark.parametrize("in_order", [True, False])
def test_the_same_rows_without_the_fault_are_taken(in_order):
    x, weight = rows(in_order=in_order), np.ones((N_FEATURES, N_UNITS), np.float32)
    products = np.empty((N_ROWS, N_UNITS), np.float32)
    multiply(x, weight, products, 2)
    adam = begun()
    adam.fetch(x)
    with Threads(2) as threads:
        np.testing.assert_allclose(adam.advance(None, threads), products, rtol=1e-5)
