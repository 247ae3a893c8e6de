"""joblib's backend ``"ffnn"``: one class for every executor."""

from __future__ import annotations

import concurrent.futures
import copy
import functools
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ffnn.exceptions import PluginLoadError, TaskTimeoutError, WorkerDiedError
from ffnn.executor import BaseExecutor
from ffnn.parallel._private import FallbackToBackend, ParallelBackendBase, SequentialBackend
from ffnn.parallel.followed import FitOutcome, FitPlan, follow
from ffnn.parallel.foreign import adapt, unwrap
from ffnn.parallel.journal.journal import Journal, as_journal
from ffnn.parallel.options import check_options, check_seconds
from ffnn.parallel.progress import Progress, TaskCounter
from ffnn.parallel.pruning.policy import PruningPolicy, check_policy
from ffnn.parallel.results import ResultListener, ResultQueue, SearchResults, as_queue
from ffnn.parallel.tasks.blobs import Hashes
from ffnn.plugins import registry

if TYPE_CHECKING:
    from ffnn.parallel.journal.resume import ResumedTasks
    from ffnn.parallel.pruning.calls import PrunedCalls

__all__ = ["FfnnBackend", "make_executor"]

# joblib dispatches twice as many tasks as it believes there are workers; with more of them queued, a worker need not
# wait until joblib has processed a result. Tasks are pickled when a worker takes them, so queued ones cost little.
_TASKS_PER_WORKER = 2

_Callback = Callable[[Any], Any]


class FfnnBackend(ParallelBackendBase):
    """A joblib backend that runs ``Parallel``, and so scikit-learn, on an executor.

    Parameters
    ----------
    executor : str or concurrent.futures.Executor, default="multiprocessing"
        A registered executor's name, or an executor, which then stays the caller's to shut down.
    nesting_level, inner_max_num_threads : optional
        joblib's own parameters.
    journal : Journal, str or os.PathLike, optional
        The journal, or its folder: finished tasks are recorded there, and recorded ones are not run again.
    prune : PruningPolicy, optional
        Which candidates of a search are stopped, and when.
    fit_timeout : float, optional
        The seconds that a fit of scikit-learn's searches may take, with its scores.
    report : ResultListener, optional
        Is told of the results as they arrive.
    **options
        The named executor's options.

    Notes
    -----
    The executor bounds the number of tasks that run at the same time. ``n_jobs`` only selects where they run: 1 means
    in this process, in sequence; any other number, or None, means on the executor.

    joblib shares one backend among all ``Parallel`` objects of a thread, even those of unfinished generators. So
    :meth:`configure` gives each of them its own backend on the same executor: no ``Parallel`` cancels the tasks of
    another or uses the hashes of its data.
    """

    default_n_jobs = -1
    supports_retrieve_callback = True

    def __init__(
        self,
        executor: str | concurrent.futures.Executor = "multiprocessing",
        nesting_level: int | None = None,
        inner_max_num_threads: int | None = None,
        journal: Journal | str | os.PathLike[str] | None = None,
        prune: PruningPolicy | None = None,
        fit_timeout: float | None = None,
        report: ResultListener | ResultQueue | None = None,
        **options: Any,
    ) -> None:
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads)
        self._journal = as_journal(journal)
        self._policy = check_policy(prune)
        self._results = as_queue(report)
        timeout = None if fit_timeout is None else check_seconds("fit_timeout", fit_timeout)
        self._executor = make_executor(executor, options)  # released with the last reference to this backend
        self._plan = FitPlan(timeout, reports=isinstance(self.executor, TaskCounter) and self.executor.follows_fits)
        self._show = None if isinstance(executor, str) else False  # a pool shows its own progress
        self._is_configured = False
        self._clear()

    def _clear(self) -> None:
        self._progress = Progress(False, self._executor)
        self._hashes = Hashes()
        self._resumed: ResumedTasks | None = None
        self._pruned: PrunedCalls | None = None
        self._lock = threading.Lock()
        self._futures: set[concurrent.futures.Future[Any]] = set()
        self._aborted = False
        self._reported = SearchResults(self._results)

    @property
    def executor(self) -> concurrent.futures.Executor:
        """The executor that runs the tasks."""
        return unwrap(self._executor)

    @property
    def n_workers(self) -> int:
        """The number of tasks that can run at the same time."""
        return self._executor.n_workers

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return the number of tasks that joblib dispatches in advance; with 1, joblib would run them here."""
        if n_jobs == 0:
            raise ValueError("n_jobs must not be 0; pass None or -1 for all workers, or 1 to run here in sequence.")
        if n_jobs == 1:
            return 1
        return _TASKS_PER_WORKER * self.n_workers

    def configure(self, n_jobs: int | None = 1, parallel: Any = None, **options: Any) -> int:
        """Prepare for a ``Parallel``; joblib's options for processes are ignored.

        Raises
        ------
        joblib._parallel_backends.FallbackToBackend
            joblib's way to replace a backend; it carries the backend that the ``Parallel`` then uses.
        """
        if not self._is_configured:
            own = copy.copy(self)
            own._clear()
            own._is_configured = True
            raise FallbackToBackend(own)
        self.parallel: Any = parallel
        self._aborted = False
        return self.effective_n_jobs(n_jobs)

    def start_call(self) -> None:
        """Prepare for one call of the ``Parallel``; it makes one at a time."""
        self._aborted = False
        self._progress = Progress(self._show, self._executor)
        self._hashes = Hashes(watchful=getattr(self.parallel, "return_generator", False))
        if self._journal is not None or self._results is not None:
            from ffnn.parallel.journal.resume import ResumedTasks

            self._resumed = ResumedTasks(self._journal, self._counter.note_recorded, self._reported.next_round())
        if self._policy is not None:
            from ffnn.parallel.pruning.calls import PrunedCalls

            self._pruned = PrunedCalls(
                self._policy, self.parallel, self._run, self._resumed, self._counter.note_pruned, self._plan
            )
        self._executor.prepare()  # reports what is wrong with a host before anything runs

    def stop_call(self) -> None:
        """Note that the call is over."""
        self._hashes = Hashes()
        for calls in (self._pruned, self._resumed):
            if calls is not None:
                calls.close()
        self._pruned = self._resumed = None
        self._progress.close()

    def submit(self, func: Any, callback: _Callback | None = None) -> concurrent.futures.Future[Any]:
        """Run a batch of calls; the callback receives the finished future, whether it succeeded or not."""
        name = _name(func)
        if name is not None:
            func.__qualname__ = name  # for messages; it does not travel
        if self._pruned is not None and self._pruned.takes(func):
            return self._pruned.submit(func, callback)
        if self._resumed is not None:
            return self._resumed.submit(func, callback, self._follow)
        return self._follow(func, callback)

    def retrieve_result_callback(self, out: concurrent.futures.Future[Any]) -> Any:
        """Return a finished future's result, or raise its exception."""
        return [one.result if isinstance(one, FitOutcome) else one for one in out.result()]

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Cancel queued tasks and end running ones; the executor stays ready."""
        with self._lock:
            self._aborted = True
            futures = list(self._futures)
        for future in futures:
            future.cancel()

    def terminate(self) -> None:
        """Release the ``Parallel``; the workers stay warm for the next."""
        self.parallel = None
        self._reported.end()

    def get_nested_backend(self) -> tuple[Any, int | None]:
        """Return the backend for calls nested in a task: sequential, within its worker's share of the machine."""
        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None

    def _follow(self, func: Any, callback: _Callback | None) -> concurrent.futures.Future[Any]:
        """Run a batch, and follow its fits where somebody wants to know of them."""
        if self._resumed is not None or self._plan != FitPlan():
            func = follow(func, self._plan)
        return self._run(func, callback)

    def _run(self, func: Any, callback: _Callback | None) -> concurrent.futures.Future[Any]:
        future = self._track(func)
        future.add_done_callback(functools.partial(self._done, func, callback))
        return future

    @property
    def _counter(self) -> TaskCounter:
        executor = self.executor
        return executor if isinstance(executor, TaskCounter) else self._progress  # a pool shows its own progress

    def _track(self, func: Any) -> concurrent.futures.Future[Any]:
        with self._hashes.shared():
            future = self._executor.submit(func)
        self._progress.add(future, func)
        with self._lock:
            self._futures.add(future)
            aborted = self._aborted
        future.add_done_callback(self._untrack)
        if aborted:  # by another thread, a moment ago
            future.cancel()
        return future

    def _untrack(self, future: concurrent.futures.Future[Any]) -> None:
        with self._lock:
            self._futures.discard(future)

    def _done(self, func: Any, callback: _Callback | None, future: concurrent.futures.Future[Any]) -> None:
        """Report the end of a batch, unless its failure can be turned into scikit-learn's ``error_score``."""
        error = None if future.cancelled() else future.exception()
        report = callback or (lambda _: None)
        if isinstance(error, WorkerDiedError | TaskTimeoutError) and not self._aborted:
            from ffnn.parallel.failed import failing_batch

            again = failing_batch(func, error)
            if again is not None:
                try:
                    second = self._track(again)
                except RuntimeError:  # the executor has been shut down
                    report(future)
                    return
                # if this fails for another reason, report the first failure
                second.add_done_callback(lambda done: report(done if _explains(done, error) else future))
                return
        report(future)


def _name(batch: Any) -> str | None:
    """Name a batch after its first call; None if it has none."""
    try:
        return str(batch.items[0][0].__qualname__)
    except (AttributeError, IndexError, TypeError):
        return None


def _explains(future: concurrent.futures.Future[Any], first: BaseException) -> bool:
    if future.cancelled():
        return True
    error = future.exception()
    return error is None or (type(error) is type(first) and str(error) == str(first))


def make_executor(executor: str | concurrent.futures.Executor, options: dict[str, Any]) -> BaseExecutor:
    """Make an executor from its name and options, or adapt the one given.

    Raises
    ------
    TypeError
        If it is neither a name nor an executor, or does not know an option.
    ValueError
        If no executor has that name, or an option has a bad value.
    PluginLoadError
        If the plugin cannot be imported, or is not an executor.
    """
    if isinstance(executor, str):
        kind = registry.load("executor", executor, "executor")
        check_options(kind, executor, options)
        made = kind(**options)
        if isinstance(made, concurrent.futures.Executor):
            return adapt(made)
        raise PluginLoadError(
            f"executor={executor!r} is {kind.__module__}.{kind.__qualname__}, which is not a "
            f"concurrent.futures.Executor; the plugin's class must derive from it."
        )
    if not isinstance(executor, concurrent.futures.Executor):
        names = ", ".join(map(repr, registry.names("executor")))
        raise TypeError(
            f"executor must be a registered executor's name or a concurrent.futures.Executor; got "
            f"{executor!r} of type {type(executor).__name__}. Pass a name, one of: {names}."
        )
    if options:
        raise TypeError(
            f"options ({', '.join(options)}) are for an executor given by its name; got the "
            f"{type(executor).__name__} {executor!r}. Pass them to its constructor."
        )
    return adapt(executor)
