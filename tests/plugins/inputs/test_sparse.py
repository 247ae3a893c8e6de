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


def test_the_statistics_are_those_of_a_batch_of_random_rows():
    X = scipy.sparse.csr_array(np.array([[1.0, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 0]]))
    found = SparseInput().fit(X, 2).statistics_
    assert (found.batch_size, found.stored_per_row) == (2, 5 / 4)
    np.testing.assert_allclose(found.features_met, 1 - 0.25**2 + 1 - 0.5**2)
    assert SparseInput("stored").fit(X, 2).statistics_ is None


def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match="SparseInput.batches='dens' .*'dense'"):
        MLPClassifier(input_layer=SparseInput("dens")).fit(scipy.sparse.csr_array(np.eye(4)), np.arange(4) % 2)
