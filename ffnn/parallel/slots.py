"""An executor of slots: each is a thread that owns one warm worker process.

How a worker is started is what a subclass says (:meth:`SlotExecutor._command`); queueing, retries, timeouts,
cancellation and recycling are the same wherever the process runs.
"""

from __future__ import annotations

import abc
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from ffnn.exceptions import ExecutorError
from ffnn.executor import Executor, Future, Task
from ffnn.parallel.options import check_count, check_seconds
from ffnn.parallel.slot import Launch, Limits, Queue, Slot

__all__ = ["SlotExecutor"]


class SlotExecutor(Executor):
    """Threads that each own one worker process.

    Parameters
    ----------
    n_workers : int
        The number of slots.
    task_timeout : float or None, default=None
        Seconds that a task may run, not counting those in which it imports modules; then its process is
        ended.
    max_retries : int, default=2
        How often a task is started again after its process died under it.
    max_tasks_per_child : int or None, default=None
        After how many tasks a process is replaced by a fresh one.
    start_timeout : float, default=120.0
        Seconds that a process may take to start, and to take a task.
    idle_timeout : float, default=300.0
        Seconds without a task after which a process is ended, until there is a task again.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not what is said here; nothing has been started then.
    """

    def __init__(
        self,
        n_workers: int,
        *,
        task_timeout: float | None = None,
        max_retries: int = 2,
        max_tasks_per_child: int | None = None,
        start_timeout: float = 120.0,
        idle_timeout: float = 300.0,
    ) -> None:
        self._n_workers = check_count("n_workers", n_workers, 1)
        limits = Limits(
            task_timeout=None if task_timeout is None else check_seconds("task_timeout", task_timeout),
            start_timeout=check_seconds("start_timeout", start_timeout),
            idle_timeout=check_seconds("idle_timeout", idle_timeout),
            max_retries=check_count("max_retries", max_retries, 0),
            max_tasks_per_child=(
                None if max_tasks_per_child is None else check_count("max_tasks_per_child", max_tasks_per_child, 1)
            ),
        )
        self._queue = Queue()
        self._slots = [
            Slot(f"{self._name}-{index}", self._queue, limits, _launcher(self, index))
            for index in range(self._n_workers)
        ]
        self._threads_lock = threading.Lock()
        # ends the workers also when the executor is forgotten, or the program ends
        self._finalizer = weakref.finalize(self, _abandon, self._queue, self._slots)

    @property
    def n_workers(self) -> int:
        """The number of tasks that can run at the same time."""
        return self._n_workers

    @property
    def n_retries(self) -> int:
        """The number of times that a task was started again because its process died under it."""
        return sum(slot.n_retries for slot in self._slots)

    @abc.abstractmethod
    def _command(self, slot: int) -> tuple[Sequence[str], Mapping[str, str]]:
        """Return the command that starts a slot's worker, and its whole environment."""

    @property
    def _name(self) -> str:
        """What workers are called, before their number."""
        return type(self).__name__.removesuffix("Executor").lower()

    def _start(self, task: Task, future: Future[Any]) -> None:
        with self._threads_lock:
            for slot in self._slots:
                slot.start_thread()
        self._queue.put((task, future))

    def _stop(self, wait: bool) -> None:
        self._queue.close()
        if wait:
            for slot in self._slots:
                slot.join()


def _launcher(executor: SlotExecutor, slot: int) -> Launch:
    """Make what starts a slot's worker, without keeping the executor alive: its slots must not."""
    reference = weakref.ref(executor)

    def launch() -> tuple[Sequence[str], Mapping[str, str]]:
        owner = reference()
        if owner is None:
            raise ExecutorError("the executor was given up while tasks were waiting; keep a reference to it")
        return owner._command(slot)

    return launch


def _abandon(queue: Queue, slots: list[Slot]) -> None:
    """End everything at once: nobody is left who could ask for a result."""
    queue.drop_all()
    queue.close()
    for slot in slots:
        slot.end()
    for slot in slots:
        slot.join(1.0)
