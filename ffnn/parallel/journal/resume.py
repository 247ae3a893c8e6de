"""Runs the calls of one ``joblib.Parallel`` that a journal does not have, records them, and tells who wants to know."""

from __future__ import annotations

import concurrent.futures
import copy
import math
import os
import pickle
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import cloudpickle

from ffnn._utils._private import is_fit_and_score
from ffnn.exceptions import JournalWarning
from ffnn.parallel.followed import FitOutcome
from ffnn.parallel.journal.facts import facts_of_call, facts_of_error, facts_of_result, has_failed
from ffnn.parallel.journal.journal import Journal
from ffnn.parallel.journal.keys import Keys, TaskKey
from ffnn.parallel.journal.store import PRUNED
from ffnn.parallel.output import warn
from ffnn.parallel.reporter import Reporter

__all__ = ["RecordedCall", "ResumedTasks"]

_Future = concurrent.futures.Future[Any]
_NOT_RECORDED = object()
_OF_RECORDS = ("kind", "key", "search", "client", "reusable")  # what tells nothing but to a journal


@dataclass
class RecordedCall:
    """A call of a batch: what it computes, what is recorded of it, and what is shown of it."""

    key: TaskKey
    is_fit: bool
    result: Any = _NOT_RECORDED
    curves: dict[str, list[float]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def is_found(self) -> bool:
        """Whether its result is recorded."""
        return self.result is not _NOT_RECORDED


class ResumedTasks:
    """The calls of one ``Parallel``, of which those that a journal has are not made again.

    Parameters
    ----------
    journal : Journal or None
        The journal; without one, all calls are made.
    on_recorded : callable
        Is told of a batch that need not run.
    on_result : callable, optional
        Gets the facts of each call that is done, or that need not run.
    """

    def __init__(
        self,
        journal: Journal | None,
        on_recorded: Callable[[Any], None],
        on_result: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._on_recorded = on_recorded
        self._on_result = on_result
        self._name = "report" if journal is None else f"journal={str(journal.path)!r}"
        self._store = journal.store() if journal is not None else None
        self._keys = Keys(journal.reuse_unseeded) if journal is not None else None
        self._warned: set[str] = set()
        self._lock = threading.Lock()
        self._reporter = Reporter()

    def submit(
        self,
        batch: Any,
        callback: Callable[[Any], Any] | None,
        run: Callable[[Any, Callable[[Any], Any]], _Future],
    ) -> _Future:
        """Run the calls of a batch that are not recorded; report the results of all.

        Parameters
        ----------
        batch : joblib.parallel.BatchedCalls
            The batch.
        callback : callable or None
            Receives the finished future, as from a backend of joblib.
        run : callable
            Runs a batch, and passes its finished future to a callback.
        """
        report = callback or (lambda _: None)
        calls = [self.look_up(*item) for item in batch.items]
        missing = [i for i, call in enumerate(calls) if not call.is_found]
        if not missing:
            done = _finished([call.result for call in calls])
            self.note_found(batch, calls)
            self._reporter.report(report, done)
            return done
        part = batch
        if len(missing) < len(calls):
            self._tell_found(calls)
            part = copy.copy(batch)
            part.items = [batch.items[i] for i in missing]
        return run(part, lambda done: report(self._merged(calls, missing, done)))

    def note_found(self, batch: Any, calls: list[RecordedCall]) -> None:
        """Tell of a batch that need not run, and of its calls."""
        self._on_recorded(batch)
        self._tell_found(calls)

    def close(self) -> None:
        """End the thread that reports."""
        self._reporter.close()

    def look_up(
        self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, pruned: bool = False
    ) -> RecordedCall:
        """Return what is recorded of a call; with `pruned` also the curves of a fit that was stopped."""
        is_fit = is_fit_and_score(function)
        try:
            with self._lock:
                key = self._keys.of(function, args, kwargs) if self._keys is not None else TaskKey(None)
            facts = facts_of_call(function, args, kwargs)
        except Exception as error:  # of a user's object that is looked at
            key, facts = TaskKey(None, None, f"{type(error).__name__}: {error}"), {}
        if key.obstacle is not None:
            self._warn(key.obstacle, f"results are recorded, but not used again: {key.obstacle}")
        call = RecordedCall(key, is_fit, facts=facts)
        if self._store is not None and key.key is not None and key.obstacle is None:
            for name in [key.key, *([key.key + PRUNED] if pruned else [])]:
                payload = self._store.find(name)
                if payload is not None:
                    self._take_over(call, payload)
                    break
        return call

    def _take_over(self, call: RecordedCall, payload: bytes) -> None:
        try:
            result = pickle.loads(payload)
        except Exception as error:  # a class is gone, a user's __setstate__ fails
            name = call.facts.get("function", "a call")
            self._warn("pickle", f"a recorded result of {name} cannot be unpickled, and is computed again: {error!r}.")
            return
        if isinstance(result, FitOutcome):
            call.curves, result = result.curves, result.result if result.is_over else _NOT_RECORDED
        call.result = result

    def _merged(self, calls: list[RecordedCall], missing: list[int], done: _Future) -> _Future:
        """Record a finished batch; return a future with the results of all calls, or the batch's own failure."""
        if done.cancelled():
            return done
        error = done.exception()
        if error is not None:
            if not isinstance(error, concurrent.futures.CancelledError):
                for i in missing:
                    self.record_error(calls[i], done, error, len(missing))
            return done
        for i, result in zip(missing, done.result(), strict=True):
            calls[i].result = result.result if isinstance(result, FitOutcome) else result
            self.record(calls[i], done, result, len(missing))
        return _finished([call.result for call in calls])

    def record_error(self, call: RecordedCall, done: _Future, error: BaseException, n_calls: int = 1) -> None:
        """Record the error of a call, of a batch of `n_calls`."""
        self._record(call, _timing(done, n_calls) | facts_of_error(error), None)

    def record(
        self, call: RecordedCall, done: _Future | None, result: Any, n_calls: int = 1, *, pruned: bool = False
    ) -> None:
        """Record the result of a call, of a batch of `n_calls`; of a fit that was stopped its curves."""
        facts = _timing(done, n_calls)
        if isinstance(result, FitOutcome) and result.curves:
            facts["curves"] = {name: _finite(curve) for name, curve in result.curves.items()}
        if pruned:
            facts["pruned"] = True
        self._record(call, facts, result)

    def _record(self, call: RecordedCall, facts: dict[str, Any], outcome: Any) -> None:
        """Record the outcome of a call; whatever goes wrong there, the search goes on."""
        result = outcome.result if isinstance(outcome, FitOutcome) else outcome
        pruned = "pruned" in facts
        failed = not pruned and ("error" in facts or has_failed(result, call.is_fit))
        reusable = call.key.key is not None and call.key.obstacle is None and not failed
        edited = self._keys.edited_files() if reusable and self._keys is not None else []
        if edited:
            self._warn("edited", f"results are not used again: {edited[0]} was changed while the search ran.")
            reusable = False
        key = call.key.key + PRUNED if pruned and call.key.key is not None else call.key.key
        meta: dict[str, Any] = {"kind": "result", "key": key, "search": call.key.search, **call.facts, **facts}
        try:
            if not failed or "error" not in facts:
                meta |= facts_of_result(result, call.is_fit)
            meta |= {"failed": failed, "reusable": reusable}
            self._tell(meta)
            if self._store is not None:
                kept = FitOutcome(None, outcome.curves) if pruned else outcome
                self._store.add(meta, cloudpickle.dumps(kept, protocol=5) if reusable else b"")
        except OSError as error:
            self._warn("write", f"results are not recorded ({error.strerror or error}); the search goes on.")
        except Exception as error:  # of a user's object that is pickled or looked at
            self._warn("record", f"the result of {meta.get('function', 'a call')} cannot be recorded: {error!r}.")

    def _tell_found(self, calls: list[RecordedCall]) -> None:
        """Tell of the calls that are recorded."""
        for call in calls:
            if not call.is_found or self._on_result is None:
                continue
            facts: dict[str, Any] = {**call.facts, "failed": False, "from_journal": True}
            if call.curves:
                facts["curves"] = {name: _finite(curve) for name, curve in call.curves.items()}
            try:
                self._tell(facts | facts_of_result(call.result, call.is_fit))
            except Exception as error:  # of a user's object that is looked at
                self._warn("record", f"a recorded result cannot be told of: {error!r}.")

    def _tell(self, facts: dict[str, Any]) -> None:
        if self._on_result is not None:
            self._on_result({name: value for name, value in facts.items() if name not in _OF_RECORDS})

    def _warn(self, cause: str, text: str) -> None:
        """Warn once of each cause."""
        with self._lock:
            if cause in self._warned:
                return
            self._warned.add(cause)
        warn(f"{self._name}: {text}", JournalWarning)


def _finished(results: list[Any]) -> _Future:
    future: _Future = concurrent.futures.Future()
    future.set_result(results)
    return future


def _finite(curve: list[float]) -> list[float | None]:
    """Return a curve for JSON, which has no NaN."""
    return [value if math.isfinite(value) else None for value in curve]


def _timing(done: _Future | None, n_calls: int) -> dict[str, Any]:
    """Return when and where a batch ran, as far as its executor says."""
    seconds = getattr(done, "seconds", None)
    facts = {"ended": time.time(), "client": os.getpid(), "worker": getattr(done, "worker", None)}
    return facts | {"seconds": None if seconds is None else seconds / n_calls}
