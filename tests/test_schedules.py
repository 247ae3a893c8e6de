"""Schedules: their shapes, and that every way to train takes the same steps."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris

from ffnn import Cosine, CosLog, Exponential, InverseScaling, Linear, MLPClassifier, OneCycle, Stepwise, WarmUp
from ffnn.schedules import Constant, as_schedule

X, Y = load_iris(return_X_y=True)
N_BATCHES = 10


def halved(step):
    return 0.1 * 0.5 ** (step // 10)


SCHEDULES = [
    0.01, Cosine(0.02, 0.001), Exponential(0.02, 0.5), InverseScaling(0.05), OneCycle(0.05), WarmUp(0.02, 1.5),
    WarmUp(Cosine(0.02), 2), Stepwise(halved), halved, Linear(0.02), CosLog(0.05),
]  # fmt: skip


def rates(schedule, n_epochs=10, horizon=None):
    steps = np.arange(n_epochs * N_BATCHES)
    return as_schedule(schedule).rates(steps, steps / N_BATCHES, horizon or n_epochs)


def test_a_cosine_falls_from_its_first_rate_to_its_last_and_stays():
    found = rates(Cosine(0.5, 0.1), n_epochs=20, horizon=10)
    assert found[0] == 0.5
    assert found[50] == pytest.approx(0.3)
    assert np.all(np.diff(found[:100]) < 0)
    np.testing.assert_allclose(found[100:], 0.1)


def test_an_exponential_is_multiplied_from_epoch_to_epoch():
    np.testing.assert_allclose(rates(Exponential(0.5, 0.9))[::N_BATCHES], 0.5 * 0.9 ** np.arange(10))


def test_inverse_scaling_is_scikit_learns():
    np.testing.assert_allclose(rates(InverseScaling(0.5, 0.3)), 0.5 / np.arange(1, 101) ** 0.3)


def test_one_cycle_rises_and_falls():
    found = rates(OneCycle(0.25, rise=0.3, first_divisor=25, last_divisor=100))
    assert found[0] == pytest.approx(0.01)
    assert found.argmax() == 30
    assert found.max() == pytest.approx(0.25)
    assert np.all(np.diff(found[:31]) > 0)
    assert np.all(np.diff(found[30:]) < 0)
    assert found[-1] < 0.001


def test_warming_up_reaches_what_follows():
    found = rates(WarmUp(Cosine(0.5), n_epochs=2))
    assert 0 < found[0] < 0.01
    assert np.all(np.diff(found[:18]) > 0)
    np.testing.assert_array_equal(found[20:], rates(Cosine(0.5))[20:])


def test_a_function_of_the_step_is_called_for_each():
    np.testing.assert_array_equal(rates(halved), [halved(step) for step in range(100)])
    with pytest.raises(ValueError, match=r"learning_rate\(3\)=-1: expected .* greater|at least"):
        rates(lambda step: -1 if step == 3 else 0.1)


def test_a_number_is_constant():
    assert isinstance(as_schedule(0.5), Constant)
    assert set(rates(0.5)) == {0.5}


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
        ("fast", TypeError, "learning_rate='fast': expected .* number.*ffnn.Cosine"),
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


def test_a_line_falls_evenly_and_stays():
    found = rates(Linear(0.5, 0.1), n_epochs=20, horizon=10)
    np.testing.assert_allclose(found[:101], np.linspace(0.5, 0.1, 101))
    np.testing.assert_allclose(found[100:], 0.1)


def test_coslog_rises_and_falls_in_cycles_each_about_twice_as_long_as_the_last():
    """The paper's formula with 4 cycles: they end where 1 + 15 t is a power of two."""
    found = rates(CosLog(0.5, n_cycles=4), n_epochs=15)
    t = np.arange(150) / 150
    np.testing.assert_allclose(found, 0.5 * (0.5 - 0.5 * np.cos(2 * np.pi * np.log2(1 + 15 * t))), atol=1e-12)
    np.testing.assert_allclose(found[[0, 10, 30, 70]], 0, atol=1e-12)
    peaks = [i for i in range(1, 149) if found[i - 1] < found[i] >= found[i + 1]]
    assert len(peaks) == 4
    assert found.max() == pytest.approx(0.5, rel=1e-3)


def test_coslog_counts_its_cycles():
    with pytest.raises(TypeError, match="learning_rate.n_cycles=2.5: expected a positive integer"):
        as_schedule(CosLog(n_cycles=2.5))
