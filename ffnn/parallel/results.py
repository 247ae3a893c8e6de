"""Objects that are told of the results of a pool as they arrive, and the queue between the two."""

from __future__ import annotations

import abc
import atexit
import collections
import functools
import os
import secrets
import threading
import weakref
from collections.abc import Callable
from typing import Any

from ffnn.parallel.output import warn
from ffnn.parallel.words import plural

__all__ = ["ResultListener", "ResultQueue", "SearchResults", "as_queue"]

_MOST_NUMBERS = 8_000_000  # that wait, some 250 MB
_OF_A_RESULT = 200  # what a result counts besides its curves
_IDLE = 2.0  # seconds after which the thread ends
_PATIENCE = 30.0  # seconds that one call of the listener may take when the pool is closed
_LONGEST = 500  # characters of an error


class ResultListener(abc.ABC):
    """Is told of the results of a pool as they arrive; the base class of what ``report=`` takes.

    Its methods are called in this process, in a thread beside the search, which never waits for them. If one raises an
    error, a warning says so once, and the search goes on. When the pool is closed, it waits until all results are
    passed on, unless a call takes more than 30 seconds. Import what it needs before the search: scikit-learn must not
    meet a library that another thread is importing.
    """

    @abc.abstractmethod
    def on_result(self, result: dict[str, Any]) -> None:
        """Take the result of a finished call: of a fit, or of another function that joblib runs on the pool.

        Parameters
        ----------
        result : dict
            What a journal records of it, for JSON: no number in it is NaN or infinite, but None instead.

            - ``search``: a text that the results of one search have in common;
            - ``round``: the number of the round, in a halving search; else 0;
            - ``function``, ``parameters``: what was called; of a fit ``estimator``, and ``parameters`` are the
              candidate's;
            - ``candidate``, ``n_candidates``, ``fold``, ``n_folds``: of a fit, from 0; None outside of a search;
            - ``scores``, and with ``return_train_score`` ``train_scores``: by the names of the scorers;
            - ``curves``: of ffnn's estimators the ``loss``, ``validation_loss`` and ``validation_score`` of each epoch;
            - ``failed``, ``error``: whether the fit failed, and how; ``pruned``: whether it was stopped;
            - ``fit_time``, ``score_time``, ``seconds``, ``ended``, ``worker``: how long it took, when and where;
            - ``from_journal``: whether an earlier run has recorded it.

            What is not known is missing or None.
        """

    def on_search_end(self, search: str) -> None:  # noqa: B027 - it need not be written
        """Take notice that a search is over, finished or not; by default, do nothing.

        Parameters
        ----------
        search : str
            The ``search`` of its results.
        """


class ResultQueue:
    """Passes results to a listener in a thread of its own.

    Parameters
    ----------
    listener : ResultListener
        The listener.
    """

    def __init__(self, listener: ResultListener) -> None:
        self._listener = listener
        self._condition = threading.Condition()
        self._waiting: collections.deque[tuple[Callable[[], None], int]] = collections.deque()
        self._size = 0
        self._busy = False
        self._thread: threading.Thread | None = None
        self._open: set[str] = set()
        self._n_dropped = 0
        self._warned: set[str] = set()
        self._pid = os.getpid()

    def begin(self) -> str:
        """Return the name of a search that begins."""
        search = secrets.token_hex(8)
        with self._condition:
            self._pid = os.getpid()
            self._open.add(search)
        _queues.add(self)
        return search

    def put(self, search: str, number: int, result: dict[str, Any]) -> None:
        """Pass on a result of a round of a search that is not over; drop it if too much is waiting."""
        result = {**result, "search": search, "round": number}
        size = _OF_A_RESULT + sum(map(len, result.get("curves", {}).values()))
        with self._condition:
            if search not in self._open:
                return
            if self._size + size > _MOST_NUMBERS:
                self._n_dropped += 1
                return
            self._add(functools.partial(self._listener.on_result, result), size)

    def end(self, search: str) -> None:
        """Pass on that a search is over."""
        with self._condition:
            if search in self._open:
                self._open.remove(search)
                self._add(functools.partial(self._listener.on_search_end, search), 0)

    def flush(self) -> None:
        """Wait until everything is passed on, or the listener hangs."""
        if self._pid != os.getpid():  # in a fork, which has not the thread
            return
        with self._condition:
            while (self._waiting or self._busy) and self._condition.wait(_PATIENCE):
                pass
            sizes = [size for _, size in self._waiting if size]
            lost = self._n_dropped + len(sizes) + self._busy
            self._n_dropped = 0
            self._size -= sum(sizes)
            self._waiting.clear()
        if lost:
            self._warn("lost", f"{plural(lost, 'result')} could not be passed on in time.")

    def _add(self, call: Callable[[], None], size: int) -> None:
        self._waiting.append((call, size))
        self._size += size
        if self._thread is None or not self._thread.is_alive():  # it idled, or this is a fork
            self._thread = threading.Thread(target=self._run, name="ffnn-results", daemon=True)
            self._thread.start()
        self._condition.notify_all()

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._waiting:
                    if not self._condition.wait(_IDLE) and not self._waiting:
                        self._thread = None
                        return
                call, size = self._waiting.popleft()
                self._busy = True
            try:
                call()
            except Exception as error:  # the listener is the user's
                text = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST]
                self._warn("error", f"a result was not passed on ({text}); the search goes on.")
            finally:
                with self._condition:
                    self._busy = False
                    self._size -= size
                    self._condition.notify_all()

    def _warn(self, cause: str, text: str) -> None:
        """Warn once of each cause."""
        if cause in self._warned:
            return
        self._warned.add(cause)
        warn(f"report={self._listener!r}: {text}", UserWarning)


class SearchResults:
    """Passes on the results of the calls of one ``joblib.Parallel``, of which a halving search makes one a round.

    Parameters
    ----------
    queue : ResultQueue or None
        Where to; None means nowhere.
    """

    def __init__(self, queue: ResultQueue | None) -> None:
        self._queue = queue
        self._search: str | None = None
        self._n_rounds = 0

    def next_round(self) -> Callable[[dict[str, Any]], None] | None:
        """Return what passes on the results of a call that begins; None if nobody wants them."""
        if self._queue is None:
            return None
        if self._search is None:
            self._search, self._n_rounds = self._queue.begin(), 0
        self._n_rounds += 1
        return functools.partial(self._queue.put, self._search, self._n_rounds - 1)

    def end(self) -> None:
        """Pass on that there are no more calls."""
        if self._queue is not None and self._search is not None:
            self._queue.end(self._search)
            self._search = None


_queues: weakref.WeakSet[ResultQueue] = weakref.WeakSet()


@atexit.register
def _flush() -> None:
    """Wait for what is not passed on when Python ends; a pool has done so when it was closed."""
    for queue in list(_queues):
        queue.flush()


def as_queue(report: Any) -> ResultQueue | None:
    """Return the queue to a listener; None for none.

    Raises
    ------
    TypeError
        If it is no listener.
    """
    if report is None or isinstance(report, ResultQueue):
        return report
    if not isinstance(report, ResultListener):
        got = (
            f"the class {report.__name__}"
            if isinstance(report, type)
            else f"{report!r} of type {type(report).__name__}"
        )
        raise TypeError(
            f"report must be a listener; got {got}. Pass ffnn.callbacks.MLflowRuns(), or an object of your own class "
            "that derives from ffnn.callbacks.ResultListener."
        )
    return ResultQueue(report)
