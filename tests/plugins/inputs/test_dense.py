from __future__ import annotations

import numpy as np
import scipy.sparse

from ffnn.testing.inputs import InputSuite
from ffnn_plugins.inputs.dense import DenseInput


class TestDense(InputSuite):
    name = "dense"

    def test_a_batch_is_the_rows_of_x(self):
        from ffnn.ops import NumpyOps

        np.testing.assert_array_equal(self.gathered(NumpyOps(), [9, 2]), self.data()[0][[9, 2]])


def test_no_copy_is_made_where_none_is_needed():
    X = np.ones((3, 2))
    assert np.shares_memory(DenseInput().prepare(X, "float64").arrays[0], X)


def test_a_sparse_x_is_left_to_another_input_but_taken_when_asked():
    X = scipy.sparse.csr_array([[0.0, 2.0], [1.0, 0.0]])
    assert not DenseInput.accepts(X)
    np.testing.assert_array_equal(DenseInput().prepare(X, "float32").arrays[0], X.toarray())
