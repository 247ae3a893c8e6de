"""The call by which scikit-learn fits a candidate on a fold, with the fit's epochs followed."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ffnn.parallel.tasks.events import send_event
from ffnn.parallel.tasks.time_limit import TimeLimit, working_time
from ffnn.training.control import FitControl, FitPaused, PausedState

__all__ = ["FitOutcome", "FitPlan", "FollowedFit", "follow", "is_single_fit"]


@dataclass
class FitOutcome:
    """How a followed fit ended.

    Parameters
    ----------
    result : dict or None
        What scikit-learn's function returned; None if the fit has paused.
    curves : dict of str to list of float
        The ``loss``, ``validation_loss`` and ``validation_score`` of each epoch; empty if nothing reported any.
    paused : PausedState or None
        Where another call can go on.
    seconds : float
        The time of the call.
    """

    result: Any
    curves: dict[str, list[float]] = field(default_factory=dict)
    paused: PausedState | None = None
    seconds: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether the fit has ended."""
        return self.result is not None


@dataclass(frozen=True)
class FitPlan:
    """The options of a followed fit.

    Parameters
    ----------
    timeout : float or None
        The seconds that all its parts may take.
    pause_after : int or None
        The number of epochs after which it pauses.
    paused : PausedState or None
        Where it goes on.
    spent : float
        The seconds that its parts so far have taken.
    reports : bool
        Whether it sends an event ``"epoch"`` after each epoch: the number of epochs done, of all, and its figures.
    """

    timeout: float | None = None
    pause_after: int | None = None
    paused: PausedState | None = None
    spent: float = 0.0
    reports: bool = False

    @property
    def seconds_left(self) -> float | None:
        """The seconds that the fit may still take; None for any."""
        return None if self.timeout is None else max(self.timeout - self.spent, 0.0)


class FollowedFit:
    """Calls the function by which scikit-learn fits and scores, and returns a :class:`FitOutcome`.

    Parameters
    ----------
    function : callable
        The function; its first parameter is the estimator.
    plan : FitPlan
        What is asked of the fit.
    """

    def __init__(self, function: Callable[..., Any], plan: FitPlan) -> None:
        functools.update_wrapper(self, function, updated=())
        self._plan = plan

    def __call__(self, *args: Any, **kwargs: Any) -> FitOutcome:
        """Make the call."""
        estimator = args[0] if args else kwargs["estimator"]
        plan = self._plan
        self._plan = FitPlan()  # the arrays need not wait for the end of the call
        start = working_time()
        limit = TimeLimit(plan.seconds_left, f"fit_timeout={plan.timeout:g}" if plan.timeout else "")
        reports = plan.reports

        def on_epoch(epoch: int, n_epochs: int, stats: dict[str, float]) -> None:
            if reports:
                send_event("epoch", (epoch + 1, n_epochs, stats), latest_only=True)
            limit.check()

        control = FitControl(estimator, pause_after=plan.pause_after, paused=plan.paused, on_epoch=on_epoch)
        del plan
        try:
            with limit, control.active():
                result = self.__wrapped__(*args, **kwargs)  # type: ignore[attr-defined]  # set by update_wrapper
        except FitPaused:
            return FitOutcome(None, control.curves, control.paused, working_time() - start)
        return FitOutcome(result, control.curves, seconds=working_time() - start)


def is_single_fit(batch: Any) -> bool:
    """Return whether a batch of joblib's is one call of scikit-learn's function that fits and scores."""
    from ffnn._utils._private import is_fit_and_score  # imports scikit-learn, as nothing else here

    items = getattr(batch, "items", None)
    return isinstance(items, list) and len(items) == 1 and is_fit_and_score(items[0][0])


def follow(batch: Any, plan: FitPlan) -> Any:
    """Return a copy of a batch in which the fits are followed; its other calls are as they were."""
    from ffnn._utils._private import is_fit_and_score

    followed = copy.copy(batch)
    followed.items = [
        (FollowedFit(function, plan) if is_fit_and_score(function) else function, args, kwargs)
        for function, args, kwargs in batch.items
    ]
    return followed
