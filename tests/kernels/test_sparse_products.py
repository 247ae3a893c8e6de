"""The kernel's products are SciPy's, on every level of instructions, and no row's depend on the rows beside it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from ffnn.kernels import LEVELS, _open, load, sparse_products
from ffnn.kernels.csr import CSR
from ffnn.kernels.sparse_products import multiply

PLAIN = load("sparse_products") and _open("sparse_products", LEVELS[-1])
RUNNING = [level for level in LEVELS if PLAIN and PLAIN.ffnn_runs(level) and _open("sparse_products", level)]
N_ROWS = 150


@pytest.fixture(params=RUNNING)
def level(request, monkeypatch):
    library = _open("sparse_products", request.param)
    monkeypatch.setattr(sparse_products, "load", lambda name: library)
    return request.param


def rows_of(n_features, density, *, in_order=True):
    rng = np.random.default_rng(0)
    X = scipy.sparse.random(N_ROWS, n_features, density, "csr", np.float32, rng, data_rvs=rng.standard_normal)
    X.data[::7] = 0
    if not in_order:
        order = np.lexsort((rng.random(X.nnz), np.repeat(np.arange(N_ROWS), np.diff(X.indptr))))
        X.indices, X.data = X.indices[order], X.data[order]
    return CSR(X.indptr.astype(np.int32), X.indices.astype(np.int32), X.data), X.toarray()


def product(x, weight, n_threads=1, rows=slice(None)):
    first, last, _ = rows.indices(len(x.splits) - 1)
    splits = np.ascontiguousarray(x.splits[first : last + 1] - x.splits[first])
    stored = slice(x.splits[first], x.splits[last])
    products = np.full((last - first, weight.shape[1]), np.nan, np.float32)
    multiply(CSR(splits, x.columns[stored], x.values[stored]), weight, products, n_threads)
    return products


def test_there_is_a_library():
    assert sparse_products.is_there()
    assert 0 in RUNNING


@pytest.mark.parametrize("n_units", [1, 15, 16, 17, 63, 64, 100, 128, 200, 256, 300])
def test_any_number_of_units_goes(n_units, level):
    x, dense = rows_of(3_000, 0.05)
    weight = np.random.default_rng(1).standard_normal((3_000, n_units), np.float32)
    np.testing.assert_allclose(product(x, weight), dense.astype(np.float64) @ weight, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize(
    ("n_features", "density"), [(1, 1.0), (40, 0.5), (20_000, 0.0), (20_000, 0.001), (20_000, 0.1)]
)
def test_any_shape_and_order_goes(n_features, density, in_order, level):
    x, dense = rows_of(n_features, density, in_order=in_order)
    weight = np.random.default_rng(1).standard_normal((n_features, 130), np.float32)
    np.testing.assert_allclose(product(x, weight), dense.astype(np.float64) @ weight, rtol=1e-4, atol=1e-3)


def test_a_row_depends_on_nothing_else(level):
    x, _ = rows_of(20_000, 0.02)
    weight = np.random.default_rng(1).standard_normal((20_000, 100), np.float32)
    whole = product(x, weight)
    np.testing.assert_array_equal(product(x, weight, n_threads=3), whole)
    for rows in (slice(0, 1), slice(70, 72), slice(3, 140)):
        np.testing.assert_array_equal(product(x, weight, rows=rows), whole[rows])


def test_what_is_infinite_stays_so(level):
    x, dense = rows_of(500, 0.1)
    weight = np.random.default_rng(1).standard_normal((500, 40), np.float32)
    weight[7] = np.inf
    with np.errstate(invalid="ignore"):
        expected = scipy.sparse.csr_array((x.values, x.columns, x.splits), dense.shape) @ weight
    assert np.isinf(expected).any()
    np.testing.assert_array_equal(np.isfinite(product(x, weight)), np.isfinite(expected))
