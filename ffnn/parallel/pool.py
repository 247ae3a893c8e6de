"""``ffnn.pool(...)``: an executor that joblib and scikit-learn use inside ``with``."""

from __future__ import annotations

import concurrent.futures
import numbers
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

import joblib
import numpy as np

from ffnn.executor import BaseExecutor
from ffnn.parallel.backend import FfnnBackend, make_executor
from ffnn.parallel.foreign import unwrap
from ffnn.parallel.journal.journal import Journal, as_journal
from ffnn.parallel.options import check_seconds
from ffnn.parallel.progress import Progress
from ffnn.parallel.pruning.policy import PruningPolicy, check_policy
from ffnn.parallel.results import ResultListener, as_queue
from ffnn.parallel.sharing.pipelines import SharedCall

if TYPE_CHECKING:
    from ffnn.parallel.pruning.pruned import PrunedFit

__all__ = ["Pool", "make_backend_factory", "pool"]

P = ParamSpec("P")
T = TypeVar("T")

_SHARED = 4 << 30  # bytes that a host keeps with share=True
_LEAST_SHARED = 1 << 20


def pool(
    name: str | concurrent.futures.Executor = "multiprocessing",
    *,
    progress: bool | Literal["live"] | None = None,
    share: bool | int = False,
    journal: Journal | str | os.PathLike[str] | None = None,
    prune: PruningPolicy | None = None,
    fit_timeout: float | None = None,
    report: ResultListener | None = None,
    **options: Any,
) -> Pool:
    """Make a pool of workers, for ``with``.

    Parameters
    ----------
    name : str or concurrent.futures.Executor, default="multiprocessing"
        A registered executor's name, or an executor.
    progress : bool, "live" or None, default=None
        Whether to show a bar of tasks, and a summary at the end; None shows them in a terminal or a notebook. "live"
        shows what runs where, the epoch and the loss of each fit, the best candidate so far and the time left.
    share : bool or int, default=False
        Whether the workers share the transformers of pipelines: each fit and each transform of the same parameters and
        data is computed once, on one host for all; on Dask once on each. A number is the most bytes that a host keeps
        for this; True is 4 GiB.
    journal : str, os.PathLike or Journal, optional
        A folder in which every task that joblib runs on the pool is recorded as soon as it is done. What is recorded is
        not run again: run an interrupted search a second time, and it resumes. See :class:`ffnn.Journal`.
    prune : PruningPolicy, optional
        Which candidates of a search are stopped, and when; see :class:`ffnn.SuccessiveHalving`. The others have the
        scores, to the bit, that they have without it.
    fit_timeout : float, optional
        The seconds that a fit of scikit-learn's searches may take, with its scores but without imports. Then it ends,
        and its score is the search's ``error_score``. In the executor ``threads`` only ffnn's estimators are ended.
    report : ResultListener, optional
        Is told of the result of every task that joblib runs on the pool, for instance
        :class:`ffnn.callbacks.MLflowRuns`.
    **options
        The executor's options, for instance ``n_workers=2``.

    Returns
    -------
    Pool
        A ``concurrent.futures.Executor``. Inside ``with``, joblib's ``Parallel``, and so scikit-learn, run on it. At
        the end of the block it shuts down; after an exception it also cancels every task that is not done.

    Raises
    ------
    TypeError, ValueError
        If the name or an option is wrong; nothing has been started then.
    JournalError
        If the folder cannot be used as a journal.

    Notes
    -----
    joblib keeps its configuration per thread. In a thread other than the one that entered the pool, use
    ``joblib.parallel_config("ffnn", executor=pool)``.

    Examples
    --------
    >>> with ffnn.pool("multiprocessing", n_workers=2):  # doctest: +SKIP
    ...     search.fit(X, y)
    """
    if progress is not None and not isinstance(progress, bool | np.bool_) and progress != "live":
        raise TypeError(
            f"progress must be True, False, None or 'live'; got {progress!r}. Leave it out to let ffnn decide."
        )
    calls = {
        "journal": as_journal(journal),
        "prune": check_policy(prune),
        "fit_timeout": fit_timeout,
        "report": as_queue(report),
    }
    if fit_timeout is not None:
        check_seconds("fit_timeout", fit_timeout)
    limit = _check_share(share)
    executor = make_executor(name, options)
    if limit:
        executor.share()
    return Pool(executor, _progress(progress, executor), limit, calls)


def _progress(show: bool | str | None, executor: BaseExecutor) -> Progress:
    if show == "live":
        from ffnn.parallel.live.progress import LiveProgress

        return LiveProgress(executor)
    return Progress(None if show is None else bool(show), executor)


def _check_share(share: object) -> int:
    """Return the number of bytes that each host may keep; 0 if its workers share nothing."""
    if isinstance(share, bool | np.bool_):
        return _SHARED if share else 0
    example = f"Pass share=True for {_SHARED >> 30} GiB, or the number of bytes, for instance share={1 << 30}."
    if not isinstance(share, numbers.Integral):
        raise TypeError(
            f"share must be True, False or a number of bytes; got {share!r} of type {type(share).__name__}. {example}"
        )
    if share < _LEAST_SHARED:
        raise ValueError(f"share must be at least {_LEAST_SHARED} bytes; got {share!r}. {example}")
    return int(share)


def make_backend_factory(
    name: str = "multiprocessing",
    *,
    journal: Journal | str | os.PathLike[str] | None = None,
    prune: PruningPolicy | None = None,
    fit_timeout: float | None = None,
    report: ResultListener | None = None,
    **options: Any,
) -> Callable[..., FfnnBackend]:
    """Make a factory for ``joblib.register_parallel_backend``, which gives an executor a name in joblib.

    Parameters
    ----------
    name : str, default="multiprocessing"
        A registered executor's name.
    journal : str, os.PathLike or Journal, optional
        As in :func:`pool`.
    prune : PruningPolicy, optional
        As in :func:`pool`.
    fit_timeout : float, optional
        As in :func:`pool`.
    report : ResultListener, optional
        As in :func:`pool`.
    **options
        The executor's options.

    Returns
    -------
    callable
        Makes a joblib backend; its keyword arguments add to the options, or override them.

    Raises
    ------
    TypeError, ValueError
        If the name or an option is wrong.

    Examples
    --------
    >>> factory = ffnn.make_backend_factory("multiprocessing", n_workers=2)  # doctest: +SKIP
    >>> joblib.register_parallel_backend("civis", factory)  # doctest: +SKIP
    >>> with joblib.parallel_backend("civis"):  # doctest: +SKIP
    ...     search.fit(X, y)
    """
    calls: dict[str, Any] = {
        "journal": journal,
        "prune": prune,
        "fit_timeout": fit_timeout,
        "report": as_queue(report),
    }
    FfnnBackend(name, **calls, **options)  # raises at once if an option is wrong; starts nothing

    def factory(**more: Any) -> FfnnBackend:
        return FfnnBackend(**{"executor": name, **calls, **options, **more})

    return factory


class Pool(concurrent.futures.Executor):
    """An executor with a progress bar, which joblib uses inside ``with``; made by :func:`pool`."""

    def __init__(
        self,
        executor: BaseExecutor,
        progress: Progress,
        shared: int = 0,
        calls: Mapping[str, Any] | None = None,
    ) -> None:
        self._executor = executor
        self._shared = shared
        self._progress = progress
        self._calls = dict(calls or {})  # the backend's options
        self._pruned: list[PrunedFit] = []
        self._context: Any = None
        self._pid: int | None = None

    @property
    def executor(self) -> concurrent.futures.Executor:
        """The executor that runs the tasks."""
        return unwrap(self._executor)

    @property
    def n_workers(self) -> int:
        """The number of tasks that can run at the same time."""
        return self._executor.n_workers

    @property
    def n_retries(self) -> int:
        """The number of times that a task had to be started again because its worker was lost."""
        return self._executor.n_retries

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> concurrent.futures.Future[T]:
        """Run ``fn(*args, **kwargs)`` on a worker; see :meth:`ffnn.executor.Executor.submit`."""
        self._pid = self._pid or os.getpid()
        call = SharedCall(fn, self._shared) if self._shared else fn
        future: concurrent.futures.Future[T] = self._executor.submit(call, *args, **kwargs)
        self._progress.add(future, fn)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks and release the workers; see :meth:`ffnn.executor.Executor.shutdown`."""
        if self._pid not in (None, os.getpid()):  # in a fork of the process that uses the pool
            return
        try:
            self._executor.shutdown(wait, cancel_futures=cancel_futures)
            if wait and self._calls.get("report") is not None:
                self._calls["report"].flush()
        finally:
            self._progress.close()
            self._calls.clear()  # the journal's files are closed with the last reference to it

    @property
    def follows_fits(self) -> bool:
        """Whether the view shows the epochs of fits."""
        return self._progress.follows_fits

    @property
    def pruned(self) -> list[PrunedFit]:
        """The fits that were stopped, in the order of the decisions."""
        return list(self._pruned)

    def note_pruned(self, pruned: PrunedFit) -> None:
        """Count a fit that is stopped."""
        self._pruned.append(pruned)
        self._progress.note_pruned(pruned)

    def note_recorded(self, batch: Any) -> None:
        """Count a batch of calls that is taken from the journal."""
        self._progress.note_recorded(batch)

    def summary(self) -> str:
        """Return one line with the tasks done so far, the workers and the time."""
        return self._progress.summary()

    def __enter__(self) -> Pool:
        """Make joblib use this pool in the current thread."""
        if self._context is not None:
            raise RuntimeError("this pool is already entered; make another with ffnn.pool(...)")
        self._executor.prepare()  # reports what is wrong with a host before anything runs
        self._pid = self._pid or os.getpid()
        self._context = joblib.parallel_config(backend=FfnnBackend(self, **self._calls), n_jobs=-1)
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Restore joblib's previous backend and shut down; after an exception, cancel unfinished tasks."""
        if self._context is not None:
            self._context.unregister()
            self._context = None
        self.shutdown(wait=True, cancel_futures=kind is not None)
