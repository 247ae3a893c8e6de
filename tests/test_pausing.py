"""A fit that pauses and goes on elsewhere has the bits of one that does not."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ffnn
from ffnn.training.control import FitControl, FitPaused, PausedState

X, y = (data[:300] for data in load_digits(return_X_y=True))
X = X / 16


def fit_in_parts(estimator: Any, *rungs: int) -> tuple[Any, list[PausedState | None]]:
    """Fit a clone, with pauses after these epochs; return it, and the states of the pauses."""
    states: list[PausedState | None] = []
    for rung in [*rungs, None]:
        fitted = clone(estimator)
        control = FitControl(fitted, pause_after=rung, paused=states[-1] if states else None)
        try:
            with control.active():
                fitted.fit(X, y)
        except FitPaused:
            assert not hasattr(fitted, "loss_curve_")
            states.append(pickle.loads(pickle.dumps(control.paused)))
        else:
            assert control.curves["loss"] == getattr(fitted, "steps", [(0, fitted)])[-1][1].loss_curve_
            break
    return fitted, states


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"dropout": 0.3, "learning_rate": ffnn.Cosine(1e-2)},
        {"early_stopping": True, "n_epochs": 40, "n_iter_no_change": 2, "learning_rate": 0.03},
        {"early_stopping": True, "scoring": "accuracy", "n_epochs": 8},
        {"early_stopping": "training", "tol": 0.05, "n_iter_no_change": 3, "n_epochs": 40},
        {"solver": ffnn.SGD(momentum=0.9)},
        {"builder": "tf", "dropout": 0.3},
        pytest.param({"builder": "keras"}, marks=pytest.mark.slow),
    ],
    ids=["plain", "dropout", "early stopping", "score", "training loss", "momentum", "tf", "keras"],
)
def test_a_paused_fit_goes_on_as_if_it_had_not_paused(parameters: dict[str, Any]) -> None:
    mlp = ffnn.MLPClassifier(
        hidden_units=(20,), **{"n_epochs": 8, "builder": "native", "random_state": 0, **parameters}
    )
    whole = clone(mlp).fit(X, y)
    paused, states = fit_in_parts(mlp, 2, 5)
    assert [state.n_epochs for state in states if state is not None] == [2, 5]
    for ours, other in zip(paused.coefs_, whole.coefs_, strict=True):
        np.testing.assert_array_equal(ours, other)
    for name in ("loss_curve_", "validation_loss_curve_", "validation_scores_", "best_epoch_", "n_iter_"):
        assert getattr(paused, name, None) == getattr(whole, name, None), name


def test_the_last_step_of_a_pipeline_pauses() -> None:
    model = make_pipeline(StandardScaler(), ffnn.MLPClassifier(builder="native", n_epochs=4, random_state=0))
    paused, states = fit_in_parts(model, 2)
    assert states[0] is not None
    np.testing.assert_array_equal(paused.predict_proba(X), clone(model).fit(X, y).predict_proba(X))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_cannot_go_on_begins_anew() -> None:
    mlp = ffnn.MLPClassifier(hidden_units=(20,), n_epochs=6, builder="native", random_state=0, solver="lbfgs")
    paused, states = fit_in_parts(mlp, 2)
    assert states == [None]
    np.testing.assert_array_equal(paused.predict_proba(X), clone(mlp).fit(X, y).predict_proba(X))


def test_a_state_is_not_used_for_other_data() -> None:
    mlp = ffnn.MLPClassifier(hidden_units=(20,), n_epochs=4, builder="native", random_state=0)
    _, states = fit_in_parts(mlp, 2)
    control = FitControl(mlp, paused=states[0])
    with control.active():
        mlp.fit(X[::-1], y)
    np.testing.assert_array_equal(mlp.predict_proba(X), clone(mlp).fit(X[::-1], y).predict_proba(X))


def test_only_the_fit_that_is_meant_pauses() -> None:
    meant = ffnn.MLPClassifier(builder="native", n_epochs=4, random_state=0)
    with FitControl(meant, pause_after=2).active():
        assert clone(meant).fit(X, y).n_iter_ == 4
        assert meant.partial_fit(X, y, classes=range(10)).n_iter_ == 1
        with pytest.raises(FitPaused):
            meant.fit(X, y)
    assert meant.n_iter_ == 1  # as it was
    assert meant.fit(X, y).n_iter_ == 4


def test_epochs_are_reported() -> None:
    mlp = ffnn.MLPClassifier(builder="native", n_epochs=3, random_state=0)
    seen: list[tuple[int, int, float]] = []
    control = FitControl(mlp, on_epoch=lambda epoch, n_epochs, stats: seen.append((epoch, n_epochs, stats["loss"])))
    with control.active():
        mlp.fit(X, y)
    assert seen == [(i, 3, loss) for i, loss in enumerate(mlp.loss_curve_)]
