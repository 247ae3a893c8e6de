"""Scores of sparse rows whose first product is a kernel's are TensorFlow's, and none depends on the rows beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse

from ffnn import MLPClassifier, MLPRegressor
from ffnn.builders._tensorflow import prediction
from ffnn.kernels import sparse_products
from ffnn.layer import Layer, Traits
from ffnn_plugins.inputs.sparse import SparseInput
from tests.support.estimators import model_of, state_of

pytestmark = pytest.mark.slow

N_ROWS, N_FEATURES = 300, 12_000
X = scipy.sparse.random(N_ROWS, N_FEATURES, 0.01, "csr", np.float32, np.random.default_rng(0))
Y = np.arange(N_ROWS) % 2


@pytest.fixture
def calls(monkeypatch):
    """Return what the kernel is called with: the numbers of rows."""
    found = []
    multiply = sparse_products.multiply

    def watched(x, weight, products, n_threads):
        found.append(len(products))
        multiply(x, weight, products, n_threads)

    monkeypatch.setattr(sparse_products, "multiply", watched)
    return found


def fit(batches="auto", cls=MLPClassifier, hidden_units=(20, 10), **kwargs):
    layer = SparseInput(batches)
    kwargs = {"builder": "tf", "random_state": 0, "dtype": "float32", **kwargs}
    return cls(hidden_units, n_epochs=1, input_layer=layer, **kwargs).fit(X, Y)


CASES = [
    {},
    {"dropout": 0.4},
    {"hidden_units": ()},
    {"cls": MLPRegressor},
    {"solver": "lbfgs"},
]


@pytest.mark.parametrize("builder", ["tf", "keras"])
@pytest.mark.parametrize("kwargs", CASES, ids=lambda value: "-".join(value) or "plain")
def test_scores_are_those_of_dense_rows(builder, kwargs, calls):
    fitted, dense = (fit(batches, builder=builder, **kwargs) for batches in ("auto", "dense"))
    model_of(dense).set_state(state_of(fitted))
    found, expected = (model_of(e).forward(e.network_.input.prepare(X, e.network_.dtype)) for e in (fitted, dense))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    on_keras_alone = builder == "keras" and kwargs.get("hidden_units") == ()  # whose one layer takes dense rows
    assert calls == ([] if on_keras_alone else [N_ROWS])


@dataclass(frozen=True)
class Scaled(Layer):
    """Of a stranger's: what it makes of an array is of another dtype than what TensorFlow makes of a tensor."""

    traits = Traits(sparse=True)

    def forward(self, ops, x, weights, context):
        return x.map(lambda values: values * np.float64(3))


def test_what_stages_before_the_weights_make_of_the_rows_is_multiplied(calls):
    fitted = fit(block=(Scaled(), "affine", "activation"), hidden_units=(7,))
    plain = fit(hidden_units=(7,))
    model_of(plain).set_state(state_of(fitted))
    np.testing.assert_allclose(fitted.predict_proba(X), plain.predict_proba(3 * X), rtol=1e-5)
    assert calls == [N_ROWS, N_ROWS]


@pytest.mark.parametrize("builder", ["tf", "keras"])
def test_no_score_depends_on_the_rows_beside_it(builder, calls, monkeypatch):
    fitted = fit(builder=builder)
    whole, hidden = fitted.predict_proba(X), fitted.transform(X)
    for rows in (slice(0, 1), slice(7, 15), slice(90, 253)):
        np.testing.assert_array_equal(fitted.predict_proba(X[rows]), whole[rows])
        np.testing.assert_array_equal(fitted.transform(X[rows]), hidden[rows])
    monkeypatch.setattr(prediction, "n_threads", lambda: 3)
    np.testing.assert_array_equal(fitted.predict_proba(X), whole)
    monkeypatch.setattr(prediction, "MOST_VALUES", 64 * 20)  # 64 rows at a time
    calls.clear()
    np.testing.assert_array_equal(fitted.predict_proba(X), whole)
    assert calls == [64, 64, 64, 64, 44]


def test_without_the_kernel_rows_go_another_way(calls, monkeypatch):
    expected = fit(hidden_units=(21,)).predict_proba(X)
    assert calls
    calls.clear()
    monkeypatch.setattr(sparse_products, "load", lambda name: None)
    fitted = fit(hidden_units=(22,))  # another width, as the program of the first one is kept
    assert fitted.predict_proba(X).shape == expected.shape
    np.testing.assert_allclose(fitted.predict_proba(X[:3]), fitted.predict_proba(X)[:3], rtol=1e-5)
    assert not calls


@pytest.mark.parametrize("kwargs", [{"dtype": "float64"}, {"batches": "dense"}], ids=lambda value: "-".join(value))
def test_what_the_kernel_does_not_take_goes_another_way(kwargs, calls):
    layer = SparseInput(kwargs.pop("batches", "auto"))
    model = MLPClassifier((8,), n_epochs=1, builder="tf", input_layer=layer, **{"dtype": "float32"} | kwargs)
    model.fit(X, Y).predict(X)
    assert not calls


def test_rows_with_indices_of_64_bits_go_another_way(calls):
    estimator = fit()
    model, network = model_of(estimator), estimator.network_
    rows = network.input.prepare(X, network.dtype)
    expected = model.forward(rows)
    calls.clear()
    splits, columns, values = rows.arrays
    long = type(rows)((splits.astype(np.int64), columns.astype(np.int64), values), rows.n_rows)
    np.testing.assert_allclose(model.forward(long), expected, rtol=1e-4, atol=1e-6)
    assert not calls
