"""The same numbers in another container: the same training."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from ffnn import MLPClassifier
from ffnn.estimator.settings import TINY

X = np.random.default_rng(0).normal(size=(TINY // 3 + 1, 3))
Y = (X[:, 0] > 0).astype(int)


class Boxed:
    """An object whose only view of its data is `__array__`."""

    def __init__(self, array):
        self._array = array
        self.asked = 0

    def __array__(self, dtype=None, copy=None):
        self.asked += 1
        return np.asarray(self._array, dtype=dtype)


def fit(X, y):
    return MLPClassifier(hidden_units=(2,), n_epochs=1, batch_size=1024, random_state=0).fit(X, y)


@pytest.mark.parametrize("n_rows", [len(X), TINY // 3])
def test_the_dtype_does_not_depend_on_the_container(n_rows):
    x, y = X[:n_rows], Y[:n_rows]
    expected = fit(x, y)
    assert expected.network_.dtype == ("float32" if n_rows == len(X) else "float64")
    pandas = pytest.importorskip("pandas")
    for other in (x.tolist(), tuple(map(tuple, x)), list(x), Boxed(x), pandas.DataFrame(x), memoryview(x)):
        fitted = fit(other, y)
        assert fitted.network_.dtype == expected.network_.dtype, type(other)
        np.testing.assert_array_equal(fitted.coefs_[0], expected.coefs_[0])
    assert fit(scipy.sparse.coo_array(x), y).network_.dtype == expected.network_.dtype


def test_an_object_is_asked_for_its_array_once():
    boxed = Boxed(X)
    fit(boxed, Y)
    assert boxed.asked == 1


def test_what_is_no_x_is_still_refused_by_scikit_learn():
    for wrong in ([1.0, 2.0], [[1.0], [2.0, 3.0]], 3.0, None, Boxed(X[0]), object()):
        with pytest.raises((TypeError, ValueError)):
            fit(wrong, [0, 1])
