from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from ffnn import MLPClassifier
from ffnn.ops import NumpyOps
from ffnn.testing._suite import to_numpy
from ffnn.testing.inputs import InputSuite
from ffnn_plugins.inputs.sparse import SparseInput


class TestSparse(InputSuite):
    name = "sparse"

    def data(self):
        X, y = super().data()
        X[5] = 0  # a row without a stored value
        return scipy.sparse.csr_matrix(X), y


@given(
    dense=st.lists(st.lists(st.integers(0, 2), min_size=4, max_size=4), min_size=1, max_size=8),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_any_rows_of_any_matrix_are_gathered(dense, data):
    X = np.array(dense, dtype=float)
    order = data.draw(st.lists(st.integers(0, len(X) - 1), min_size=1, max_size=12))
    arrays = SparseInput().prepare(scipy.sparse.csr_array(X), "float64").arrays
    batch = SparseInput().gather(NumpyOps(), arrays, np.array(order, dtype=np.int32), 4)
    np.testing.assert_array_equal(to_numpy(batch), X[order])
    # CSR order: what dropout's mask is defined over
    assert batch.splits[0] == 0
    assert (np.diff(batch.splits) >= 0).all()


def test_indices_have_32_bits_where_they_suffice():
    X = scipy.sparse.csr_array(np.eye(3))
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    indptr, indices, data = SparseInput().prepare(X, "float32").arrays
    assert (indptr.dtype, indices.dtype, data.dtype) == (np.int32, np.int32, np.float32)


def test_the_stored_values_are_not_copied_where_need_not_be():
    X = scipy.sparse.csr_array(np.eye(3))
    assert np.shares_memory(SparseInput().prepare(X, "float64").arrays[2], X.data)


@pytest.mark.parametrize("X", [np.eye(2), [[1.0, 0.0]]])
def test_a_dense_x_is_left_to_another_input(X):
    assert not SparseInput.accepts(X)


def test_an_entry_stored_twice_counts_as_the_sum_and_the_users_matrix_stays():
    X = scipy.sparse.csr_array((np.array([1.0, 2.0, 4.0]), np.array([2, 0, 2]), np.array([0, 3])), shape=(1, 3))
    arrays = SparseInput().prepare(X, "float64").arrays
    batch = SparseInput().gather(NumpyOps(), arrays, np.array([0], dtype=np.int32), 3)
    np.testing.assert_array_equal(to_numpy(batch), [[2.0, 0.0, 5.0]])
    np.testing.assert_array_equal(X.data, [1.0, 2.0, 4.0])


def wide(n_rows=400, n_features=20_000, n_stored=5):
    return scipy.sparse.random(n_rows, n_features, n_stored / n_features, format="csr", random_state=0)


@pytest.mark.parametrize(
    ("shape", "batch_size", "path"),
    [
        ({}, 64, ("fused", "stored", "dense")),
        ({}, 10_000, ("fused", "stored", "dense")),  # all of it meets few features
        ({"n_stored": 2000}, 64, ("fused", "dense", "stored")),  # a batch meets nearly all
        # a third of them: they are counted
        ({"n_rows": 4000, "n_features": 10_000, "n_stored": 100}, 64, ("fused", "dense", "stored")),
        ({"n_rows": 100, "n_stored": 12_000}, 64, ("dense", "fused", "stored")),  # 60 %
        ({"n_features": 2000}, 64, ("dense",)),
    ],
    ids=str,
)
def test_batches_take_the_path_that_is_expected_to_be_fastest(shape, batch_size, path):
    X = wide(**shape)
    assert SparseInput().fit(X, batch_size).paths_ == path
    assert SparseInput(batches="dense").fit(X, batch_size).paths_ == ("dense",)
    assert SparseInput(batches="stored").fit(X, batch_size).paths_ == ("fused", "stored", "dense")


def test_another_way_is_another_program():
    ways = [SparseInput(batches).fit(wide(), 64).structure() for batches in ("auto", "stored", "dense")]
    assert ways[0] == ways[1] != ways[2]


def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match="SparseInput.batches='dens' .*'dense'"):
        MLPClassifier(input_layer=SparseInput("dens")).fit(wide(), np.arange(400) % 2)


def test_a_path_that_takes_more_memory_than_dense_batches_comes_last(monkeypatch):
    X = wide(n_stored=4000)  # 20 %
    assert SparseInput().fit(X, 64).paths_ == ("fused", "dense", "stored")
    monkeypatch.setattr("ffnn_plugins.inputs.sparse.SMALL_BATCH", 10**6)  # a batch of some hundred megabytes, otherwise
    assert SparseInput().fit(X, 64).paths_ == ("dense", "fused", "stored")
    assert SparseInput().fit(wide(), 64).paths_ == ("fused", "stored", "dense")
