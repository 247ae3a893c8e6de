"""What the defaults make of small data, of large data, and of features of an extreme scale."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ffnn import MLPClassifier, MLPRegressor
from ffnn.schedules import Linear

WINE, WINE_Y = load_wine(return_X_y=True)


@pytest.mark.parametrize(
    ("n_rows", "parameters", "n_epochs"),
    [
        (30, {}, 200),
        (640, {}, 100),
        (641, {}, 91),
        (6400, {}, 10),
        (9000, {}, 10),
        (640, {"batch_size": 32}, 50),
        (640, {"n_epochs": 3}, 3),
        (711, {"early_stopping": True, "n_iter_no_change": 500}, 100),  # the rows that are set apart do not count
        (30, {"solver": "lbfgs", "hidden_units": ()}, 200),
    ],
)
def test_the_epochs_that_auto_means(n_rows, parameters, n_epochs):
    X = np.random.default_rng(0).normal(size=(n_rows, 2))
    model = MLPRegressor(**{"hidden_units": (2,), "builder": "native", "random_state": 0} | parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, np.sin(3 * X[:, 0]) + X[:, 1])
    assert model.n_iter_ <= n_epochs if model.solver == "lbfgs" else model.n_iter_ == n_epochs


def test_samples_of_no_weight_do_not_count():
    X = np.random.default_rng(0).normal(size=(1280, 2))
    weight = np.repeat([1.0, 0.0], 640)
    model = MLPRegressor((2,), builder="native", random_state=0).fit(X, X[:, 0], sample_weight=weight)
    assert model.n_iter_ == 100


def test_single_epochs_are_those_of_one_fit_with_its_schedule():
    X = np.random.default_rng(0).normal(size=(6400, 2))
    whole, single = (MLPRegressor((2,), learning_rate=Linear(0.1), builder="native", random_state=0) for _ in range(2))
    whole.fit(X, X[:, 0])
    for _ in range(10):
        single.partial_fit(X, X[:, 0])
    assert whole.loss_curve_ == single.loss_curve_


def test_the_default_learns_small_data():
    X, y = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), MLPClassifier(builder="native", random_state=0))
    assert cross_val_score(model, X, y, cv=5).mean() > 0.93  # 0.95; with ten epochs 0.83


# --- the scale of the features


@pytest.mark.parametrize(("factor", "order"), [(1e4, r"1e\+07"), (1e-6, "1e-03")], ids=["large", "small"])
def test_features_from_which_nothing_is_learned_are_told_of(builder, factor, order):
    X = WINE * factor
    model = MLPRegressor((8,), n_epochs=3, builder=builder, random_state=0)
    message = f"no better than a constant prediction's, .* order of {order}.*StandardScaler"
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        model.fit(X, WINE[:, 0])
    assert len(caught) == 1


def quiet(model, X, y, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return model.fit(X, y, **arguments)


@pytest.mark.parametrize("scaled", [True, False])
def test_of_what_learns_nothing_is_said(scaled):
    for X, y, kind in ((WINE, WINE_Y, MLPClassifier), (*load_diabetes(return_X_y=True, scaled=False), MLPRegressor)):
        X = StandardScaler().fit_transform(X) if scaled else X
        assert quiet(kind(builder="native", random_state=0), X, y).score(X, y) > 0.2


def test_noise_of_an_ordinary_scale_is_no_matter_of_scale():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(300, 4)), random.normal(size=300)
    quiet(MLPRegressor((4,), n_epochs=1, builder="native", random_state=0), X, y)
    quiet(MLPRegressor((4,), n_epochs=1, builder="native", random_state=0), scipy.sparse.csr_array(1e4 * X), y)
    quiet(MLPRegressor((4,), n_epochs=1, builder="native", random_state=0), 0 * X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an epoch of its own may be the first of many
        MLPRegressor((4,), builder="native", random_state=0).partial_fit(1e4 * X, y)
