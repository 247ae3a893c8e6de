"""Schedules: their shapes, and that every way to train takes the same steps."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris

from ffnn import Cosine, CosLog, Exponential, InverseScaling, Linear, MLPClassifier, OneCycle, Stepwise, WarmUp
from ffnn.exceptions import PluginLoadError
from tests.support.schedules import halved

X, Y = load_iris(return_X_y=True)


SCHEDULES = [
    0.01, Cosine(0.02, 0.001), Exponential(0.02, 0.5), InverseScaling(0.05), OneCycle(0.05), WarmUp(0.02, 1.5),
    WarmUp(Cosine(0.02), 2), Stepwise(halved), halved, Linear(0.02), CosLog(0.05),
]  # fmt: skip


@pytest.mark.parametrize("schedule", SCHEDULES, ids=[type(one).__name__ + str(i) for i, one in enumerate(SCHEDULES)])
def test_fit_is_as_many_partial_fits(schedule):
    parameters = {"hidden_units": (5,), "batch_size": 40, "n_epochs": 4, "random_state": 0, "learning_rate": schedule}
    whole = MLPClassifier(**parameters).fit(X, Y)
    parts = MLPClassifier(**parameters)
    for _ in range(4):
        parts.partial_fit(X, Y, classes=[0, 1, 2])
    np.testing.assert_array_equal(whole.coefs_[0], parts.coefs_[0])
    assert whole.loss_curve_ == parts.loss_curve_


def test_the_builders_agree_and_the_rate_matters():
    fitted = [
        MLPClassifier((5,), builder=builder, learning_rate=OneCycle(0.05), n_epochs=5, random_state=0).fit(X, Y)
        for builder in ("tf", "keras")
    ]
    np.testing.assert_allclose(fitted[0].loss_curve_, fitted[1].loss_curve_, rtol=1e-9)
    plain = clone(fitted[0]).set_params(learning_rate=0.05).fit(X, Y)
    assert abs(plain.loss_curve_[-1] - fitted[0].loss_curve_[-1]) > 1e-3


def test_a_schedules_parameters_are_axes_of_a_grid():
    estimator = MLPClassifier(learning_rate=Cosine(0.1))
    assert clone(estimator).set_params(learning_rate__initial=0.2).get_params()["learning_rate__initial"] == 0.2
    assert estimator.learning_rate.initial == 0.1


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("fast", ValueError, "learning_rate must name a schedule.*got 'fast'.*'cosine'"),
        (None, TypeError, "learning_rate=None: expected .* number.*ffnn.Cosine"),
        (
            "stepwise",
            PluginLoadError,
            "learning_rate='stepwise' cannot be called without arg",
        ),
        (-1, ValueError, "learning_rate=-1: expected"),
        (Cosine(-1), ValueError, "learning_rate.initial=-1"),
        (Cosine, TypeError, "learning_rate="),
        (Exponential(0.1, 1.5), ValueError, r"learning_rate.decay=1.5: expected a number in \(0, 1\]"),
        (OneCycle(rise=1), ValueError, r"learning_rate.rise=1: expected a number in \(0, 1\)"),
        (WarmUp(Cosine(0)), ValueError, "learning_rate.then.initial=0"),
        (WarmUp(0.1, 0), ValueError, "learning_rate.n_epochs=0"),
        (Stepwise(3), TypeError, "learning_rate=3: expected a function"),
    ],
)
def test_a_wrong_one_is_refused_by_name(value, error, message):
    with pytest.raises(error, match=message):
        MLPClassifier(learning_rate=value).fit(X, Y)


def test_a_name_is_the_schedule_with_its_defaults():
    arguments = {"hidden_units": (3,), "n_epochs": 3, "random_state": 0}
    named, made = (MLPClassifier(**arguments, learning_rate=rate).fit(X, Y) for rate in ("linear", Linear()))
    assert named.loss_curve_ == made.loss_curve_
