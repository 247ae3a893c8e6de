"""A sparse matrix whose indices point outside of it is refused, whatever is done with it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from ffnn import MLPClassifier
from ffnn._utils.sparse_check import checked_sparse
from ffnn_plugins.inputs.sparse import SparseInput

N_ROWS, N_FEATURES = 64, 500
Y = np.arange(N_ROWS) % 2


def rows(format="csr", index=np.int32):
    X = scipy.sparse.random(N_ROWS, N_FEATURES, density=0.05, format=format, random_state=0, dtype=np.float32)
    for name in ("indices", "indptr"):
        if hasattr(X, name):
            setattr(X, name, getattr(X, name).astype(index))
    return X


def changed(name, place, value, index=np.int32):
    X = rows(index=index)
    getattr(X, name)[place] = value
    return X


def with_arrays(**arrays):
    X = rows()
    for name, array in arrays.items():
        setattr(X, name, array)
    return X


FAULTS = {
    "too large": (changed("indices", 5, N_FEATURES), "column index 500 at entry 5, where there are 500"),
    "far too large": (changed("indices", 5, 10**9), "column index 1000000000"),
    "negative": (changed("indices", -1, -1), "column index -1"),
    "wraps in 32 bits": (changed("indices", 5, 2**32 + 3, np.int64), "column index 4294967299"),
    "indptr falls": (changed("indptr", 7, 10**6), "indptr that falls, from 1000000"),
    "indptr negative": (changed("indptr", 1, -4), "indptr that falls, from 0 to -4"),
    "indptr begins late": (changed("indptr", 0, 3), "begins with 3"),
    "indptr beyond the data": (changed("indptr", -1, 10**6), "ends with 1000000, beyond"),
    "indptr too short": (with_arrays(indptr=rows().indptr[:-3]), "indptr of 62 entries, where 65 belong"),
    "fewer values than indices": (with_arrays(data=rows().data[:-2]), "1600 indices for 1598 values"),
    "indices of floats": (with_arrays(indices=rows().indices.astype(float)), "indices of dtype float64"),
}


@pytest.fixture(scope="module", params=["dense", "stored"])
def model(request):
    layer = SparseInput(request.param)
    return MLPClassifier((8,), n_epochs=1, batch_size=16, dtype="float32", input_layer=layer, random_state=0)


@pytest.fixture(scope="module")
def fitted(model):
    return model.fit(rows(), Y)


@pytest.mark.parametrize("fault", FAULTS)
def test_it_is_refused_by_fit_and_predict(fault, fitted):
    X, said = FAULTS[fault]
    before = fitted.predict_proba(rows())
    for call in (lambda: fitted.fit(X, Y), lambda: fitted.predict(X)):
        with pytest.raises(ValueError, match=f"X is a malformed sparse matrix.*{said}"):
            call()
    np.testing.assert_array_equal(fitted.predict_proba(rows()), before)


@pytest.mark.parametrize(
    "call",
    [
        lambda m, X: m.partial_fit(X, Y),
        lambda m, X: m.predict_proba(X),
        lambda m, X: m.decision_function(X),
        lambda m, X: m.transform(X),
        lambda m, X: m.prediction_gradient(X),
        lambda m, X: m.score(X, Y),
        lambda m, X: m.fit(rows(), Y, X_val=X, y_val=Y),
    ],
)
def test_it_is_refused_by_every_method(call, fitted):
    X = rows()
    X.indices[5] = 10**9
    with pytest.raises(ValueError, match="malformed sparse matrix.*column index 1000000000"):
        call(fitted, X)


@pytest.mark.parametrize("format", ["csc", "coo", "bsr", "lil"])
def test_it_is_refused_in_other_formats(format):
    X = rows(format)
    if format == "lil":
        X.rows[3] = [10**6] * len(X.rows[3])
    else:
        (X.row if format == "coo" else X.indices)[5] = 10**6
    with pytest.raises(ValueError, match="X is a malformed sparse matrix.* index 1000000 at entry"):
        checked_sparse("X", X)


def test_a_malformed_indicator_is_refused(model):
    y = scipy.sparse.csr_array(np.eye(2, dtype=np.int64)[Y])
    y.indices[5] = 10**6
    with pytest.raises(ValueError, match="y is a malformed sparse matrix.*column index 1000000"):
        model.fit(rows(), y)


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "bsr"])
@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (3, 4)])
def test_what_is_well_formed_comes_back_as_it_is(format, shape):
    X = scipy.sparse.random(*shape, density=0.5, format=format, random_state=0)
    assert checked_sparse("X", X) is X


def test_room_for_more_entries_is_no_fault(fitted):
    X = rows()
    roomy = scipy.sparse.csr_matrix(
        (np.append(X.data, np.float32(np.nan)), np.append(X.indices, 10**9).astype(np.int32), X.indptr), X.shape
    )
    np.testing.assert_array_equal(fitted.predict_proba(roomy), fitted.predict_proba(X))
    assert fitted.fit(roomy, Y).loss_curve_ == fitted.fit(X, Y).loss_curve_
