"""A training that was to converge, and did not; and one that goes on with other classes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from ffnn import LBFGS, MLPClassifier, MLPRegressor, presets

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 5))
Y = np.digitize(X[:, 0], [-0.5, 0.5])


def said_by(model, *arguments, **data):
    """Return the texts of the ConvergenceWarnings of a fit."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(*arguments, **data)
    return [str(w.message) for w in caught if w.category is ConvergenceWarning]


def classifier(**parameters):
    return MLPClassifier(**{"hidden_units": (4,), "random_state": 0} | parameters)


# --- L-BFGS


def test_l_bfgs_converges_on_digits_by_default():
    x, y = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
    model = MLPClassifier((100,), solver="lbfgs", random_state=0)
    assert said_by(model, x_train, y_train) == []
    assert 10 < model.n_iter_ < 200
    assert model.score(x_test, y_test) > 0.926


def test_too_few_iterations_are_said(builder):
    (text,) = said_by(classifier(solver="lbfgs", n_epochs=3, builder=builder), X, Y)
    assert "n_epochs is too small, after 3 iterations. Raise n_epochs" in text


def test_a_line_search_that_fails_is_said():
    model = MLPRegressor((4,), solver=LBFGS(max_evaluations=1), random_state=0)
    (text,) = said_by(model, X, X[:, 0] * X[:, 1])
    assert "line search that found no smaller loss, after 0 iterations. Scale X" in text
    assert "raise LBFGS.max_evaluations" in text


def test_who_stops_it_is_not_told():
    assert said_by(classifier(solver="lbfgs"), X, Y, monitor=lambda epoch, *_: epoch == 3) == []
    early = classifier(solver="lbfgs", early_stopping=True, n_iter_no_change=2)
    assert said_by(early, X, RNG.permutation(Y)) == []
    assert early.n_iter_ < 200


# --- the training's own loss


def test_a_loss_that_still_falls_is_said_once(builder):
    model = classifier(early_stopping="training", n_epochs=3, builder=builder, learning_rate=0.01)
    (text,) = said_by(model, X, Y)
    assert "the loss still falls in epoch 2, the last of n_epochs. Raise n_epochs" in text
    assert said_by(model.set_params(n_epochs=500, n_iter_no_change=2, tol=0.01), X, Y) == []
    assert said_by(classifier(early_stopping="training", n_epochs=4), X, Y, monitor=lambda epoch, *_: epoch == 2) == []
    assert said_by(classifier(n_epochs=2), X, Y) == []
    assert len(said_by(classifier(solver="lbfgs", early_stopping="training", n_epochs=2), X, Y)) == 1
    assert len(said_by(presets.sklearn(n_epochs=2), X, Y)) == 1


def test_a_warning_made_an_error_undoes_the_fit():
    for parameters in ({"solver": "lbfgs"}, {"early_stopping": "training"}):
        model = classifier(n_epochs=2, **parameters)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            with pytest.raises(ConvergenceWarning):
                model.fit(X, Y)
        assert not hasattr(model, "classes_")


# --- another fit with other classes


@pytest.mark.parametrize("y", [Y % 2, Y + 1, np.digitize(X[:, 0], [-1, 0, 1]), np.where(Y > 0, "a", "b")])
def test_a_warm_start_needs_the_same_classes(y):
    model = classifier(warm_start=True, n_epochs=1).fit(X, Y)
    with pytest.raises(ValueError, match=r"same classes as before: expected \[0, 1, 2\], got .*Use partial_fit"):
        model.fit(X, y)
    assert model.n_iter_ == 1
    assert model.fit(X, Y).n_iter_ == 2
    assert model.partial_fit(X[Y < 2], Y[Y < 2]).n_iter_ == 3
    assert model.set_params(warm_start=False).fit(X, y).n_iter_ == 1


def test_a_warm_start_takes_any_indicators_of_as_many_labels():
    model = classifier(warm_start=True, n_epochs=1).fit(X, np.stack([Y > 1, Y > 0], axis=1).astype(int))
    assert model.fit(X, np.stack([Y > 1, Y > 5], axis=1).astype(int)).n_iter_ == 2
