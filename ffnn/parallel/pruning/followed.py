"""The call by which scikit-learn fits a candidate on a fold, with the fit's epochs followed."""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ffnn._utils._private import is_fit_and_score
from ffnn.parallel.tasks.imports import seconds_of_imports
from ffnn.training.control import FitControl, FitPaused, PausedState

__all__ = ["FitOutcome", "FollowedFit", "follow", "is_single_fit"]


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


class FollowedFit:
    """Calls the function by which scikit-learn fits and scores, and returns a :class:`FitOutcome`.

    Parameters
    ----------
    function : callable
        The function; its first parameter is the estimator.
    pause_after : int or None
        The number of epochs after which the fit pauses.
    paused : PausedState or None
        Where the fit goes on.
    """

    def __init__(
        self, function: Callable[..., Any], pause_after: int | None = None, paused: PausedState | None = None
    ) -> None:
        functools.update_wrapper(self, function, updated=())
        self._pause_after = pause_after
        self._paused = paused

    def __call__(self, *args: Any, **kwargs: Any) -> FitOutcome:
        """Make the call."""
        estimator = args[0] if args else kwargs["estimator"]
        control = FitControl(estimator, pause_after=self._pause_after, paused=self._paused)
        self._paused = None  # the arrays need not wait for the end of the call
        start = _working_time()
        try:
            with control.active():
                result = self.__wrapped__(*args, **kwargs)  # type: ignore[attr-defined]  # set by update_wrapper
        except FitPaused:
            return FitOutcome(None, control.curves, control.paused, _working_time() - start)
        return FitOutcome(result, control.curves, seconds=_working_time() - start)


def _working_time() -> float:
    return time.perf_counter() - seconds_of_imports()


def is_single_fit(batch: Any) -> bool:
    """Return whether a batch of joblib's is one call of scikit-learn's function that fits and scores."""
    items = getattr(batch, "items", None)
    return isinstance(items, list) and len(items) == 1 and is_fit_and_score(items[0][0])


def follow(batch: Any, pause_after: int | None = None, paused: PausedState | None = None) -> Any:
    """Return a copy of a batch in which the fits are followed; its other calls are as they were."""
    followed = copy.copy(batch)
    followed.items = [
        (FollowedFit(function, pause_after, paused) if is_fit_and_score(function) else function, args, kwargs)
        for function, args, kwargs in batch.items
    ]
    return followed
