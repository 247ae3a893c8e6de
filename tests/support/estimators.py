"""Estimators to keep and compare: what they are made of, and all that they have learned."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_iris

from ffnn import MLPClassifier, MLPRegressor
from ffnn.testing._suite import assert_states_equal

__all__ = [
    "MULTI",
    "NAMES",
    "PARAMETERS",
    "X",
    "Y",
    "assert_same",
    "count_programs",
    "make",
    "model_of",
    "scores_of",
    "state_of",
]

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
MULTI = np.column_stack([X[:, 0] > 5.8, X[:, 1] > 3]).astype(int)
PARAMETERS = {"hidden_units": (6,), "n_epochs": 2, "random_state": 0}


def make(output="multiclass", **parameters):
    kind = MLPRegressor if output == "regression" else MLPClassifier
    return kind(**{**PARAMETERS, **parameters})


def model_of(estimator):
    """Return the model that trains: ``model_``, except on the Keras builder, whose ``model_`` is a copy of it."""
    return estimator._current_model()


def state_of(estimator):
    """Return all that training has made of the model."""
    return model_of(estimator).get_state()


def scores_of(estimator, X):
    """Return the scores of a classifier, or the predictions of a regressor."""
    return estimator.decision_function(X) if hasattr(estimator, "decision_function") else estimator.predict(X)


def count_programs(monkeypatch, builder):
    """Return a list that gets an item for each program that a builder makes, which models of one architecture share."""
    from ffnn.builders._tensorflow.program import Program

    made = []
    module = {"tf": "ffnn.builders._tensorflow.model", "keras": "ffnn.builders._keras.tensorflow"}[builder]
    monkeypatch.setattr(f"{module}.Program", lambda *arguments: made.append(1) or Program(*arguments))
    return made


def assert_same(one, other):
    """Compare two estimators with all that they have learned."""
    assert type(one) is type(other)
    assert repr(one) == repr(other)
    assert one.__dict__.keys() == other.__dict__.keys()
    for name in one.__dict__.keys() - {"_fitted", "network_", *one.get_params()}:
        a, b = getattr(one, name), getattr(other, name)
        np.testing.assert_array_equal(a, b, err_msg=name)
        assert type(a) is type(b)
        assert getattr(a, "dtype", None) == getattr(b, "dtype", None)
    if hasattr(one, "_fitted"):
        assert_states_equal(state_of(one), state_of(other))
        assert one._fitted.root_seed == other._fitted.root_seed
        assert one.network_.structure() == other.network_.structure()
        np.testing.assert_array_equal(one.network_.scalars(), other.network_.scalars())
