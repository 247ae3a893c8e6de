"""The fits of one search, of which a policy stops some.

A fit runs from one comparison to the next. It gives up its worker there, and its state waits in this process. When the
last one has come so far, the policy says which candidates go on.
"""

from __future__ import annotations

import concurrent.futures
import functools
import numbers
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ffnn.parallel._private import dispatch_more
from ffnn.parallel.followed import FitOutcome, FitPlan, follow, is_single_fit
from ffnn.parallel.journal.facts import has_failed
from ffnn.parallel.journal.keys import arguments_of
from ffnn.parallel.journal.resume import ResumedTasks
from ffnn.parallel.pruning.candidates import Fit, check_monitor, fitted_estimator, reports_epochs
from ffnn.parallel.pruning.policy import MONITORS, PruningPolicy
from ffnn.parallel.pruning.pruned import PrunedFit, pruned_result
from ffnn.parallel.reporter import Reporter
from ffnn.training.control import PausedState

__all__ = ["PrunedCalls"]

_MOST_HELD = 2 << 30  # bytes of paused fits; a fit beyond begins anew instead of going on

_Future = concurrent.futures.Future[Any]
_Callback = Callable[[Any], Any]


class PrunedCalls:
    """Runs the fits of one ``joblib.Parallel`` as far as a policy lets them.

    Parameters
    ----------
    policy : PruningPolicy
        The policy.
    parallel : joblib.Parallel
        Submits the fits.
    run : callable
        ``run(batch, callback)`` runs a batch, and passes its finished future to the callback.
    journal : ResumedTasks or None
        What is recorded of fits, and where to record them.
    on_pruned : callable
        Is told of each fit that is stopped.
    plan : FitPlan
        What else is asked of each fit.
    """

    def __init__(
        self,
        policy: PruningPolicy,
        parallel: Any,
        run: Callable[[Any, _Callback], _Future],
        journal: ResumedTasks | None,
        on_pruned: Callable[[PrunedFit], None],
        plan: FitPlan,
    ) -> None:
        self._policy = policy
        self._parallel = parallel
        self._run = run
        self._journal = journal
        self._on_pruned = on_pruned
        self._plan = plan
        self._lock = threading.RLock()
        self._fits: dict[tuple[int, int], Fit] = {}
        self._n_expected = 0
        self._rungs: Iterator[int] = iter(policy.rungs())
        self._rung = self._next_rung(0)
        self._n_held = 0
        self._warned = False
        self._reporter = Reporter()

    def takes(self, batch: Any) -> bool:
        """Return whether a batch is a fit of a candidate that has others to be compared with."""
        if not is_single_fit(batch):
            return False
        arguments = arguments_of(*batch.items[0])
        progress = arguments.get("candidate_progress")
        return progress is not None and progress[1] > 1 and arguments.get("split_progress") is not None

    def submit(self, batch: Any, callback: _Callback | None) -> _Future:
        """Run a fit up to the first comparison, and later to its end, or not.

        Returns
        -------
        concurrent.futures.Future
            Of the batch's results.
        """
        arguments = arguments_of(*batch.items[0])
        (candidate, n_candidates), (number, n_folds) = arguments["candidate_progress"], arguments["split_progress"]
        fit = Fit(batch, callback or _nothing, candidate, number, arguments.get("parameters") or {})
        try:
            fit.reports_epochs = self._check(arguments)
        except Exception as error:  # a user's estimator may raise anything, and this may be a thread of joblib's
            self._fail(fit, error)
            return fit.future
        if self._journal is not None:
            fit.recorded = self._journal.look_up(*batch.items[0], pruned=True)
        with self._lock:
            self._n_expected = n_candidates * n_folds
            self._fits[candidate, number] = fit
        if fit.recorded is not None and fit.recorded.is_found:
            fit.curves = fit.recorded.curves
            self._finish(fit, fit.recorded.result, is_new=False)
        else:
            self._start(fit)
        self._decide()
        return fit.future

    def close(self) -> None:
        """End the thread that reports."""
        self._reporter.close()

    # -- one fit --------------------------------------------------------------------------------------------------

    def _check(self, arguments: dict[str, Any]) -> bool:
        """Return whether a fit reports its epochs; warn once if not."""
        estimator = fitted_estimator(arguments)
        if reports_epochs(estimator):
            check_monitor(self._policy.monitor, estimator, arguments.get("fit_params") or {})
            return True
        with self._lock:
            warned, self._warned = self._warned, True
        if not warned:
            warnings.warn(
                f"prune={self._policy!r}: {type(estimator).__name__} does not report its epochs, so its fits run to "
                "their ends. Only ffnn's estimators, alone or as the last step of a pipeline, can be pruned.",
                UserWarning,
                stacklevel=2,
            )
        return False

    def _start(self, fit: Fit) -> None:
        """Run a fit from where it is to the next comparison."""
        rung = self._rung if fit.reports_epochs else None
        known = fit.recorded.curves if fit.recorded is not None else {}
        if rung is not None and len(known.get(self._policy.monitor, ())) >= rung:
            fit.curves = known  # it was stopped in an earlier run, and need not run again to be stopped again
            self._wait(fit)
            return
        plan = replace(self._plan, pause_after=rung, paused=fit.paused, spent=fit.seconds)
        part = follow(fit.batch, plan)
        part.goes_on = bool(fit.seconds)  # so that progress does not count it as another task
        self._hold(fit, None)
        self._run(part, functools.partial(self._done, fit))

    def _done(self, fit: Fit, done: _Future) -> None:
        """Take the outcome of a part of a fit."""
        error = None if done.cancelled() else done.exception()
        if done.cancelled() or error is not None:
            with self._lock:
                fit.is_over = fit.has_failed = True
            if self._journal is not None and fit.recorded is not None and error is not None:
                self._journal.record_error(fit.recorded, done, error)
            self._reporter.report(fit.callback, done)
        else:
            (outcome,) = done.result()
            if not isinstance(outcome, FitOutcome):  # of a fit whose worker was lost
                outcome = FitOutcome(outcome)
            fit.curves = outcome.curves or fit.curves
            if outcome.is_over:
                if "fit_time" in outcome.result:
                    outcome.result["fit_time"] += fit.seconds
                self._finish(fit, outcome.result, done=done)
            else:
                fit.seconds += outcome.seconds
                self._hold(fit, outcome.paused)
                self._wait(fit)
        self._decide()

    def _wait(self, fit: Fit) -> None:
        """Let a fit wait for the others, and joblib submit another one meanwhile."""
        with self._lock:
            fit.is_waiting = True
        self._reporter.report(dispatch_more, self._parallel)

    def _hold(self, fit: Fit, paused: PausedState | None) -> None:
        """Keep the state of a paused fit, if there is room."""
        with self._lock:
            self._n_held -= fit.paused.nbytes if fit.paused is not None else 0
            fit.paused = paused if paused is not None and self._n_held + paused.nbytes <= _MOST_HELD else None
            self._n_held += fit.paused.nbytes if fit.paused is not None else 0

    def _finish(self, fit: Fit, result: Any, done: _Future | None = None, is_new: bool = True) -> None:
        """Record and report the result of a fit."""
        with self._lock:
            fit.is_over, fit.is_waiting = True, False
            fit.has_failed = has_failed(result, True) and not fit.is_pruned
        if self._journal is not None and fit.recorded is not None:
            if is_new:
                self._journal.record(fit.recorded, done, FitOutcome(result, fit.curves), pruned=fit.is_pruned)
            else:
                self._journal.note_found(fit.batch, [fit.recorded])
        fit.future.set_result([result])
        self._reporter.report(fit.callback, fit.future)
        fit.batch = fit.paused = None  # the data need not wait for the others

    def _fail(self, fit: Fit, error: Exception) -> None:
        fit.is_over = fit.has_failed = True
        fit.future.set_exception(error)
        self._reporter.report(fit.callback, fit.future)

    # -- the comparisons ------------------------------------------------------------------------------------------

    def _decide(self) -> None:
        """Compare the candidates, if each fit has come to the next comparison or is over."""
        while True:
            with self._lock:
                fits = list(self._fits.values())
                waiting = [fit for fit in fits if fit.is_waiting]
                if len(fits) < self._n_expected or not waiting or not all(f.is_waiting or f.is_over for f in fits):
                    return
                for fit in waiting:
                    fit.is_waiting = False
                try:
                    losers = self._losers()
                except Exception as error:  # of a user's policy
                    for fit in waiting:
                        self._fail(fit, error)
                    return
            for fit in waiting:
                if fit.candidate in losers:
                    self._prune(fit, losers[fit.candidate])
            for fit in waiting:
                if fit.candidate not in losers:
                    self._start(fit)

    def _losers(self) -> dict[int, int]:
        """Return the candidates to stop, each with the epochs after which it was judged; set the next comparison."""
        rung, self._rung = self._rung, self._next_rung(self._rung or 0)
        assert rung is not None  # else no fit waits
        left = sorted({fit.candidate for fit in self._fits.values() if fit.reports_epochs and not fit.is_pruned})
        n_folds = 1 + max(number for _, number in self._fits)
        losses = np.array([[self._loss(self._fits[candidate, i], rung) for i in range(n_folds)] for candidate in left])
        kept = np.asarray(self._policy.keep(losses)) if len(left) > 1 else np.ones(len(left), bool)
        if kept.shape != (len(left),) or kept.dtype != bool or not kept.any():
            raise ValueError(
                f"{type(self._policy).__name__}.keep returned {kept!r}; expected a bool array of shape "
                f"({len(left)},), one for each candidate that is left, with at least one true."
            )
        if kept.sum() == 1:
            self._rung = None
        return {candidate: rung for candidate, keeps in zip(left, kept, strict=True) if not keeps}

    def _loss(self, fit: Fit, rung: int) -> float:
        """Return what is compared of a fit: the lower, the better."""
        monitor = self._policy.monitor
        if fit.has_failed:
            return np.inf
        if not fit.curves.get(monitor):
            raise ValueError(
                f"prune.monitor={monitor!r}: candidate {fit.candidate}, {fit.parameters!r}, measured no {monitor}. "
                "Compare the training loss: monitor='loss'."
            )
        value = fit.curves[monitor][:rung][-1]
        return np.inf if np.isnan(value) else -value if MONITORS[monitor] else value

    def _next_rung(self, last: int) -> int | None:
        rung = next(self._rungs, None)
        if rung is not None and (not isinstance(rung, numbers.Integral) or rung <= last):
            raise ValueError(
                f"{type(self._policy).__name__}.rungs returned {rung!r} after {last!r}; expected numbers of epochs in "
                "ascending order, from 1 on."
            )
        return rung

    def _prune(self, fit: Fit, n_epochs: int) -> None:
        """Stop a fit for good."""
        fit.is_pruned = True
        monitor = self._policy.monitor
        pruned = PrunedFit(
            fit.candidate, fit.fold, dict(fit.parameters), n_epochs, monitor, fit.curves[monitor][:n_epochs][-1]
        )
        self._on_pruned(pruned)
        try:
            result = pruned_result(fit.batch, fit.seconds)
        except Exception as error:  # a user's data may raise anything
            self._fail(fit, error)
            return
        self._finish(fit, result)


def _nothing(done: object) -> None:
    pass
