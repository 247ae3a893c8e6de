"""The fits of a search's candidates, and whether they can be compared while they train."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sklearn.base import clone

from ffnn.parallel.journal.resume import RecordedCall
from ffnn.training.control import PausedState, last_step

__all__ = ["Fit", "check_monitor", "fitted_estimator", "reports_epochs"]


@dataclass(eq=False)
class Fit:
    """A candidate's fit on a fold: what it computes, and how far it is."""

    batch: Any
    callback: Callable[[Any], Any]
    candidate: int
    fold: int
    parameters: dict[str, Any]
    recorded: RecordedCall | None = None
    future: concurrent.futures.Future[Any] = field(default_factory=concurrent.futures.Future)
    reports_epochs: bool = True
    curves: dict[str, list[float]] = field(default_factory=dict)
    paused: PausedState | None = None
    seconds: float = 0.0
    is_waiting: bool = False
    is_over: bool = False
    has_failed: bool = False
    is_pruned: bool = False


def fitted_estimator(arguments: dict[str, Any]) -> Any:
    """Return the estimator that is fitted with a candidate's parameters; of a pipeline its last step."""
    parameters = arguments.get("parameters") or {}
    return last_step(clone(arguments["estimator"]).set_params(**clone(parameters, safe=False)))


def reports_epochs(estimator: object) -> bool:
    """Return whether an estimator's fits report their epochs, and can be paused: whether it is one of ffnn's."""
    return bool(getattr(estimator, "_reports_epochs", False))


def check_monitor(monitor: str, estimator: Any, fit_params: dict[str, Any]) -> None:
    """Refuse an estimator that does not measure what a policy compares.

    Raises
    ------
    ValueError
        If it has no validation data, or no score.
    """
    given = any(name.rpartition("__")[2] == "X_val" for name in fit_params)
    if monitor != "loss" and estimator.early_stopping is not True and not given:
        raise ValueError(
            f"prune.monitor={monitor!r} needs validation data; got an {type(estimator).__name__} with "
            f"early_stopping={estimator.early_stopping!r}, and no X_val. Set early_stopping=True, pass X_val and y_val "
            "to the search's fit, or compare the training loss: monitor='loss'."
        )
    if monitor == "validation_score" and estimator.scoring == "loss":
        raise ValueError(
            "prune.monitor='validation_score' needs a score; got an estimator with scoring='loss'. Compare "
            "monitor='validation_loss'."
        )
