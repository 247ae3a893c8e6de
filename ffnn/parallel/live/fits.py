"""The fits that run in a search, and the best candidate so far."""

from __future__ import annotations

import concurrent.futures
import math
import numbers
import statistics
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ffnn.parallel.followed import FitOutcome

__all__ = ["BestCandidate", "LiveFits", "RunningFit"]

_LONGEST = 60  # characters of a candidate's parameters


@dataclass
class RunningFit:
    """A fit that runs.

    Attributes
    ----------
    name : str
        The candidate's parameters, or the function's name.
    fold : int or None
        The fold.
    candidate : int or None
        The candidate's number.
    n_folds : int or None
        The number of folds.
    worker : str
        The worker, as far as it is known.
    epoch, n_epochs : int
        The epochs done and those to do; 0 before the first.
    loss, validation : float or None
        The training loss of the last epoch, and its validation score or else its validation loss.
    """

    name: str
    fold: int | None = None
    candidate: int | None = None
    n_folds: int | None = None
    worker: str = ""
    epoch: int = 0
    n_epochs: int = 0
    loss: float | None = None
    validation: float | None = None

    def take(self, kind: str, payload: Any) -> None:
        """Take an event of the fit."""
        if kind == "epoch":
            self.epoch, self.n_epochs, stats = payload
            self.loss = stats.get("loss")
            self.validation = stats.get("validation_score", stats.get("validation_loss"))

    @property
    def share_done(self) -> float:
        """The share of its epochs that is done."""
        return self.epoch / self.n_epochs if self.n_epochs else 0.0


@dataclass(frozen=True)
class BestCandidate:
    """The best candidate so far.

    Attributes
    ----------
    name : str
        Its parameters.
    score : float
        The mean of its scores so far.
    n_scores, n_folds : int
        The number of its scores, and how many there will be.
    """

    name: str
    score: float
    n_scores: int
    n_folds: int


@dataclass
class _Candidate:
    name: str
    n_folds: int
    scores: list[float] = field(default_factory=list)


class LiveFits:
    """Follows the tasks of a pool: the fits that run, and the scores of those that are done."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[concurrent.futures.Future[Any], RunningFit] = {}
        self._candidates: dict[Any, _Candidate] = {}
        self._began = time.monotonic()

    def add(self, future: concurrent.futures.Future[Any], call: Any) -> None:
        """Follow a task from its submission to its end."""
        fit = _describe(call)
        with self._lock:
            self._running[future] = fit
        if hasattr(future, "on_event"):
            future.on_event(fit.take)
        future.add_done_callback(self._end)

    def running(self) -> list[RunningFit]:
        """Return the fits that run, by their workers."""
        with self._lock:
            waiting = list(self._running.items())
        found = []
        for future, fit in waiting:
            if future.running():
                fit.worker = getattr(future, "worker", None) or fit.worker
                found.append(fit)
        return sorted(found, key=lambda fit: (fit.worker, fit.name, fit.fold or 0))

    def best(self) -> BestCandidate | None:
        """Return the candidate with the best mean score, of those with the most scores; None before the first."""
        with self._lock:
            known = [one for one in self._candidates.values() if one.scores]
            if not known:
                return None
            most = max(len(one.scores) for one in known)
            best = max((one for one in known if len(one.scores) == most), key=lambda one: statistics.fmean(one.scores))
            return BestCandidate(best.name, statistics.fmean(best.scores), most, best.n_folds)

    def seconds_left(self, n_over: int, n_expected: int) -> float | None:
        """Return about how long the rest takes, if it goes on as so far; None if nobody can tell yet.

        Parameters
        ----------
        n_over, n_expected : int
            The number of tasks that are done, and of all tasks.
        """
        done = n_over + sum(fit.share_done for fit in self.running())
        if done < 0.05 or n_expected <= done:
            return None
        return (time.monotonic() - self._began) / done * (n_expected - done)

    @property
    def seconds(self) -> float:
        """The seconds since the start."""
        return time.monotonic() - self._began

    def _end(self, future: concurrent.futures.Future[Any]) -> None:
        with self._lock:
            fit = self._running.pop(future, None)
            if fit is None or fit.candidate is None or future.cancelled() or future.exception() is not None:
                return
            score = _score(future.result())
            if score is not None:
                key = fit.candidate, fit.name
                self._candidates.setdefault(key, _Candidate(fit.name, fit.n_folds or 1)).scores.append(score)


def _describe(call: Any) -> RunningFit:
    """Return the fit that a batch of joblib's computes."""
    try:
        ((function, args, kwargs),) = call.items
    except (AttributeError, TypeError, ValueError):
        return RunningFit(str(getattr(call, "__qualname__", type(call).__qualname__)))
    parameters = kwargs.get("parameters")
    (candidate, _), (fold, n_folds) = (
        kwargs.get(f"{name}_progress") or (None, None) for name in ("candidate", "split")
    )
    if not isinstance(parameters, Mapping) or not parameters:
        name = type(kwargs.get("estimator", args[0] if args else function)).__name__
    else:
        name = ", ".join(f"{str(key).rpartition('__')[2]}={_shown(value)}" for key, value in parameters.items())
    return RunningFit(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…", fold, candidate, n_folds)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    try:
        return " ".join(str(value).split())
    except Exception:  # a user's __str__ may raise anything
        return type(value).__name__


def _score(results: Any) -> float | None:
    """Return the first test score of a fit that is over; None if it has none."""
    result = results[0] if isinstance(results, list) and len(results) == 1 else None
    if isinstance(result, FitOutcome):
        result = result.result
    scores = result.get("test_scores") if isinstance(result, dict) else None
    if isinstance(scores, Mapping):
        scores = next(iter(scores.values()), None)
    return float(scores) if isinstance(scores, numbers.Real) and math.isfinite(scores) else None
