"""The executor ``multiprocessing``: worker processes on this machine."""

from __future__ import annotations

import os

from ffnn.parallel.hosts.local import LocalHost
from ffnn.parallel.options import check_count, check_optional_count
from ffnn.parallel.slots.executor import SlotExecutor
from ffnn.parallel.tasks.budget import cpu_count

__all__ = ["MultiprocessingExecutor"]


class MultiprocessingExecutor(SlotExecutor):
    """Worker processes on this machine: started fresh, never forked, warm from task to task.

    Parameters
    ----------
    n_workers : int or None, default=None
        The number of processes; None is one per CPU that this process may use.
    threads_per_worker : int or None, default=None
        The number of threads for BLAS, OpenMP and the engines in each process; None shares the CPUs evenly,
        and leaves variables like ``OMP_NUM_THREADS`` alone where they are set.
    task_timeout : float or None, default=None
        Seconds that a task may run, not counting those in which it imports modules; then its process is
        ended.
    max_retries : int, default=2
        The number of times that a task is started again after its process died.
    max_tasks_per_child : int or None, default=None
        The number of tasks after which a process is replaced by a fresh one.
    start_timeout : float, default=120.0
        Seconds that a process may take to start, and to take a task.
    idle_timeout : float, default=300.0
        Seconds without a task after which a process is ended, until there is a task again.
    logs : path or None, default=None
        A folder for what workers write to standard error; None keeps it only as long as the executor lives.

    Raises
    ------
    TypeError, ValueError
        If a parameter is invalid; nothing has been started then.

    Notes
    -----
    With several GPUs, each worker sees one of them, in turn.
    """

    def __init__(
        self,
        n_workers: int | None = None,
        *,
        threads_per_worker: int | None = None,
        task_timeout: float | None = None,
        max_retries: int = 2,
        max_tasks_per_child: int | None = None,
        start_timeout: float = 120.0,
        idle_timeout: float = 300.0,
        logs: str | os.PathLike[str] | None = None,
    ) -> None:
        n_workers = check_count("n_workers", cpu_count() if n_workers is None else n_workers, 1)
        super().__init__(
            [LocalHost(n_workers, check_optional_count("threads_per_worker", threads_per_worker))],
            task_timeout=task_timeout,
            max_retries=max_retries,
            max_tasks_per_child=max_tasks_per_child,
            start_timeout=start_timeout,
            idle_timeout=idle_timeout,
            logs=logs,
        )
