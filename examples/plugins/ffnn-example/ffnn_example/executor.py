"""An executor that runs tasks in threads of this process: nothing to start, and a debugger sees everything."""

from __future__ import annotations

import concurrent.futures
from typing import Any

from ffnn.executor import Executor, Future, Task


class ThreadExecutor(Executor):
    """Runs tasks in threads.

    Parameters
    ----------
    n_workers : int
        The number of threads.
    """

    def __init__(self, n_workers: int = 2) -> None:
        if not isinstance(n_workers, int) or n_workers < 1:
            raise ValueError(f"n_workers={n_workers!r}: expected a positive integer. It is the number of threads.")
        self._n_workers = n_workers
        self._threads: concurrent.futures.ThreadPoolExecutor | None = None

    @property
    def n_workers(self) -> int:
        """The number of threads."""
        return self._n_workers

    def _start(self, task: Task, future: Future[Any]) -> None:
        if self._threads is None:  # nothing is started before the first task
            self._threads = concurrent.futures.ThreadPoolExecutor(self._n_workers)
        self._threads.submit(self._run, task, future)

    @staticmethod
    def _run(task: Task, future: Future[Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.settle(task())
        except BaseException as error:
            future.fail(error)

    def _stop(self, wait: bool) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=wait)
