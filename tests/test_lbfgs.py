from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.preprocessing import StandardScaler

from ffnn import LBFGS, MLPClassifier, MLPRegressor
from tests.support.estimators import state_of

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)


def classifier(**parameters):
    return MLPClassifier(**{"hidden_units": (6,), "solver": "lbfgs", "n_epochs": 30, "random_state": 0} | parameters)


@pytest.mark.parametrize("labels", [2, 3])
def test_a_linear_network_is_logistic_regression(labels, builder):
    x, y = (X, Y) if labels == 3 else load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    decay = 0.01
    ours = classifier(hidden_units=(), weight_decay=decay, n_epochs=500, builder=builder).fit(x, y)
    # scikit-learn's C weighs the sum of the losses, ours is their mean
    theirs = LogisticRegression(C=1 / (decay * len(x)), max_iter=1000, tol=1e-8).fit(x, y)
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), atol=2e-3)


def test_it_reaches_scikit_learns_loss():
    theirs = SklearnMLPClassifier(hidden_layer_sizes=(6,), solver="lbfgs", alpha=0, max_iter=30, random_state=0).fit(
        X, Y
    )
    ours = classifier().fit(X, Y)
    assert ours.loss_curve_[-1] < theirs.loss_ + 0.02
    assert ours.score(X, Y) > 0.97


def test_the_loss_never_rises_and_is_that_of_the_weights():
    estimator = classifier().fit(X, Y)
    assert (np.diff(estimator.loss_curve_) <= 1e-9).all()
    picked = estimator.predict_proba(X)[np.arange(150), Y]
    assert estimator.loss_curve_[-1] == pytest.approx(-np.log(picked).mean(), rel=1e-6)


def test_n_epochs_bounds_the_iterations():
    estimator = classifier(n_epochs=4).fit(X, Y)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 4
    assert state_of(estimator).step == 4


def test_it_ends_where_the_gradient_does():
    estimator = classifier(n_epochs=500, weight_decay=0.1, solver=LBFGS(tol=1e-2)).fit(X, Y)
    assert estimator.n_iter_ < 100


def test_a_start_at_the_minimum_is_one_epoch():
    estimator = MLPRegressor((), solver="lbfgs", random_state=0).fit(np.zeros((20, 2)), np.full(20, 3.0))
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 1
    np.testing.assert_allclose(estimator.predict(np.zeros((1, 2))), 3.0)


def test_dropout_does_not_act():
    one, other = classifier(dropout=0.5).fit(X, Y), classifier().fit(X, Y)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X))


def test_partial_fit_does_not_exist():
    assert not hasattr(classifier(), "partial_fit")
    assert hasattr(MLPClassifier(), "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit"):
        classifier().partial_fit(X, Y)


def test_it_computes_in_float64_unless_told_otherwise():
    assert classifier().fit(X.astype("float32"), Y).coefs_[0].dtype == np.float64
    estimator = classifier(dtype="float32").fit(X, Y)
    assert estimator.coefs_[0].dtype == np.float32
    assert estimator.score(X, Y) > 0.95


def test_its_parameters_act():
    curves = [classifier(solver=LBFGS(memory=memory)).fit(X, Y).loss_curve_ for memory in (1, 10)]
    assert curves[0] != curves[1]
