from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPRegressor as SklearnMLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ffnn import MLPRegressor

X, Y = load_diabetes(return_X_y=True, scaled=True)
X *= 20
X, Y = X[:200], Y[:200]


def regressor(**parameters):
    return MLPRegressor(**{"hidden_units": (8,), "n_epochs": 3, "random_state": 0} | parameters)


@pytest.mark.parametrize("shape", [(200,), (200, 1), (200, 3)])
def test_predictions_have_the_form_of_the_targets(shape):
    y = Y if shape == (200,) else np.column_stack([Y * (i + 1) for i in range(shape[1])])
    estimator = regressor().fit(X, y)
    assert estimator.predict(X).shape == shape
    assert estimator.score(X, y) == pytest.approx(r2_score(y, estimator.predict(X)))


def test_the_unit_of_the_targets_does_not_matter():
    one = regressor().fit(X, Y)
    other = regressor().fit(X, 1e6 * Y - 3e5)
    np.testing.assert_allclose(other.predict(X), 1e6 * one.predict(X) - 3e5, rtol=1e-5)
    np.testing.assert_allclose(other.loss_curve_, one.loss_curve_, rtol=1e-6)


def test_several_targets_are_learnt_at_once():
    y = np.column_stack([Y, -1e3 * Y, X[:, 2]])
    estimator = regressor(n_epochs=60, learning_rate=0.01).fit(X, y)
    assert r2_score(y, estimator.predict(X), multioutput="raw_values").min() > 0.5


def test_mean_and_scale_stay_those_of_the_first_partial_fit():
    estimator = regressor().partial_fit(X[:100], Y[:100])
    before = estimator.network_.output.mean_.copy()
    estimator.partial_fit(X[100:], Y[100:] + 1000)
    np.testing.assert_array_equal(estimator.network_.output.mean_, before)


def test_a_linear_network_by_lbfgs_is_the_least_squares_solution(builder):
    estimator = regressor(hidden_units=(), solver="lbfgs", n_epochs=500, builder=builder).fit(X, Y)
    expected = LinearRegression().fit(X, Y).predict(X)
    np.testing.assert_allclose(estimator.predict(X), expected, atol=1e-2 * Y.std())


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (scipy.sparse.csr_array(Y[:, None]), TypeError, "y is sparse; expected an array of numbers.*toarray"),
        (np.array(["a"] * 200), ValueError, "could not convert|dtype|numbers"),
        (Y[:10], ValueError, "inconsistent numbers of samples"),
        (np.zeros((200, 2, 2)), ValueError, "dim"),
    ],
    ids=["sparse", "strings", "short", "cube"],
)
def test_bad_targets_are_refused(y, error, message):
    with pytest.raises(error, match=message):
        regressor().fit(X, y)


def test_it_has_no_classifiers_methods():
    for name in ("predict_proba", "decision_function", "classes_"):
        assert not hasattr(regressor().fit(X, Y), name)


def test_it_learns_as_well_as_scikit_learns():
    X, Y = load_diabetes(return_X_y=True)
    ours = MLPRegressor((32,), n_epochs=40, learning_rate=3e-3, weight_decay=1e-3, random_state=0)
    theirs = SklearnMLPRegressor(
        hidden_layer_sizes=(32,), max_iter=400, learning_rate_init=3e-3, batch_size=64, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs has not converged
        our_score, their_score = (
            cross_val_score(make_pipeline(StandardScaler(), model), X, Y, cv=3).mean() for model in (ours, theirs)
        )
    assert our_score > their_score - 0.03
    assert our_score > 0.4


def test_labels_are_refused():
    with pytest.raises(ValueError, match=r"y: expected numbers, got .*'red'.* Labels are for MLPClassifier"):
        MLPRegressor().fit([[0.0], [1.0]], np.array(["red", "blue"]))
