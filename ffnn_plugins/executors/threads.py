"""The executor ``threads``: worker threads in this process, for fits that hold no lock."""

from __future__ import annotations

import concurrent.futures
import functools
import os
import threading
import time
from typing import Any

import joblib
from threadpoolctl import threadpool_limits

from ffnn._utils.event_queue import Event
from ffnn._utils.threads import share_with_others
from ffnn.exceptions import TaskFailedError
from ffnn.executor import Executor, Future, Task
from ffnn.parallel.options import check_count, check_optional_count
from ffnn.parallel.tasks.budget import cpu_count
from ffnn.parallel.tasks.events import EventStream, of_thread

__all__ = ["ThreadsExecutor"]


class _Blas:
    """The limit of BLAS's threads, which is one for the whole process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._limits: list[int] = []  # of the executors that have workers
        self._before: threadpool_limits | None = None

    def limit(self, n_threads: int) -> None:
        """Limit BLAS for an executor."""
        with self._lock:
            self._limits.append(n_threads)
            applied = threadpool_limits(min(self._limits), user_api="blas")
            self._before = self._before or applied

    def release(self, n_threads: int) -> None:
        """Lift the limit of an executor; the last one restores what was before the first."""
        with self._lock:
            self._limits.remove(n_threads)
            if self._limits:
                threadpool_limits(min(self._limits), user_api="blas")
            elif self._before is not None:
                self._before.restore_original_limits()
                self._before = None

    def forget(self) -> None:
        """Start anew in the child of a fork, without the limits of its parent's executors."""
        before = self._before
        self.__dict__.update(_Blas().__dict__)
        if before is not None:
            before.restore_original_limits()


_blas = _Blas()
# a fork has none of the executors, and another thread may hold the lock just then
os.register_at_fork(after_in_child=_blas.forget)


class ThreadsExecutor(Executor):
    """Worker threads in this process: nothing is started, imported, pickled or copied.

    Parameters
    ----------
    n_workers : int or None, default=None
        The number of threads that run tasks; None is one per CPU that this process may use.
    threads_per_worker : int or None, default=None
        The number of threads that the kernels, BLAS and OpenMP may use in each task; None shares the CPUs evenly.

    Raises
    ------
    TypeError, ValueError
        If a parameter is invalid.

    Notes
    -----
    Tasks get the very objects that they were submitted with, not copies. scikit-learn's searches clone their
    estimators for each fit. A task that runs cannot be ended: cancelling drops those that have not begun. A task that
    kills its process kills all of it, and there are no time-outs: for these, use ``multiprocessing``.

    While there are workers, BLAS is limited to ``threads_per_worker`` threads in the whole process; with several such
    executors at once, to the smallest number of theirs.
    """

    in_process = True
    has_events = True

    def __init__(self, n_workers: int | None = None, *, threads_per_worker: int | None = None) -> None:
        n_cpus = cpu_count()
        self._n_workers = check_count("n_workers", n_cpus if n_workers is None else n_workers, 1)
        share = check_optional_count("threads_per_worker", threads_per_worker)
        self._n_threads = max(1, n_cpus // self._n_workers) if share is None else share
        self._threads: concurrent.futures.ThreadPoolExecutor | None = None

    @property
    def n_workers(self) -> int:
        """The number of threads that run tasks."""
        return self._n_workers

    def _start(self, task: Task, future: Future[Any]) -> None:
        with self._open_lock:
            if self._closed:  # just now, by another thread
                future.cancel()
                return
            if self._threads is None:
                _blas.limit(self._n_threads)
                self._threads = concurrent.futures.ThreadPoolExecutor(self._n_workers, "ffnn", self._begin_thread)
            self._threads.submit(_run, task, future)

    def _begin_thread(self) -> None:
        """Limit a worker to its share of the machine."""
        share_with_others(self._n_threads)
        threadpool_limits(self._n_threads, user_api="openmp")  # which counts for the thread that calls it
        joblib.parallel_config(backend="sequential")  # and joblib within a task

    def _stop(self, wait: bool) -> None:
        with self._open_lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait)
            _blas.release(self._n_threads)


def _run(task: Task, future: Future[Any]) -> None:
    """Run a task, unless it was cancelled."""
    if not future.set_running_or_notify_cancel():
        return
    start = time.perf_counter()
    try:
        with of_thread(EventStream(functools.partial(_pass_on, future))):
            result = task()
    except Exception as error:
        future.seconds = time.perf_counter() - start
        future.fail(error)
    except BaseException as error:  # the end of the program is only an error, as it is in a worker process
        future.fail(TaskFailedError(f"{task.name} raised {error!r}; expected it to return, or to raise an Exception."))
    else:
        future.seconds = time.perf_counter() - start
        future.settle(result)
    finally:
        del task, future  # the traceback of an error refers to this frame


def _pass_on(future: Future[Any], kind: str, payload: object, latest_only: bool) -> None:
    future.events.put(Event(kind, lambda: payload, latest_only))
