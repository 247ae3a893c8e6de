"""An executor of slots: each is a thread that owns one warm worker process.

How a worker is started is what a subclass says (:meth:`SlotExecutor._command`); queueing, retries, timeouts,
cancellation and recycling are the same wherever the process runs.
"""

from __future__ import annotations

import abc
import collections
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ffnn.exceptions import ExecutorError, TaskTimeoutError, WorkerDiedError
from ffnn.executor import Executor, Future, Task
from ffnn.parallel.options import check_count, check_seconds
from ffnn.parallel.task import open_outcome, pack
from ffnn.parallel.wire import Message
from ffnn.parallel.worker import Worker, WorkerGone, describe_exit

__all__ = ["SlotExecutor"]

_Item: TypeAlias = tuple[Task, Future[Any]]
_IDLE_DEATHS = 3  # how often in a row a worker may be lost before it has begun the task


@dataclass(frozen=True)
class _Limits:
    task_timeout: float | None
    start_timeout: float
    idle_timeout: float
    max_retries: int
    max_tasks_per_child: int | None


class SlotExecutor(Executor):
    """Threads that each own one worker process.

    Parameters
    ----------
    n_workers : int
        The number of slots.
    task_timeout : float or None, default=None
        Seconds that a task may run, not counting those in which it imports modules; then its process is ended.
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
        limits = _Limits(
            task_timeout=None if task_timeout is None else check_seconds("task_timeout", task_timeout),
            start_timeout=check_seconds("start_timeout", start_timeout),
            idle_timeout=check_seconds("idle_timeout", idle_timeout),
            max_retries=check_count("max_retries", max_retries, 0),
            max_tasks_per_child=(
                None
                if max_tasks_per_child is None
                else check_count("max_tasks_per_child", max_tasks_per_child, 1)
            ),
        )
        self._queue = _Queue()
        self._slots = [_Slot(self, index, limits) for index in range(self._n_workers)]
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


class _Queue:
    """What waits for a slot."""

    def __init__(self) -> None:
        self._items: collections.deque[_Item] = collections.deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: _Item) -> None:
        with self._changed:
            self._items.append(item)
            self._changed.notify()

    def get(self, timeout: float | None) -> _Item | None:
        """Wait for an item (seconds); None once the queue is closed and empty."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._items or self._closed, timeout):
                raise TimeoutError
            return self._items.popleft() if self._items else None

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def drop_all(self) -> None:
        with self._changed:
            dropped = list(self._items)
            self._items.clear()
        for _, future in dropped:
            future.cancel()


class _Slot:
    """A thread and the worker that it owns."""

    def __init__(self, owner: SlotExecutor, index: int, limits: _Limits) -> None:
        # the thread must not keep the executor alive, so it holds what it needs of it
        self._queue = owner._queue
        self._owner = weakref.ref(owner)
        self._index = index
        self._name = f"{owner._name}-{index}"
        self._limits = limits
        self._worker: Worker | None = None
        self._current: Future[Any] | None = None
        self._lock = threading.Lock()  # guards the two above against those who cancel
        self._thread: threading.Thread | None = None
        self.n_retries = 0

    def start_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        # the executor may be shut down by a callback, that is, by this very thread
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def end(self, future: Future[Any] | None = None) -> None:
        """End the worker, if it still runs that future's task (any, if None); from any thread."""
        with self._lock:
            if self._worker is not None and (future is None or self._current is future):
                self._worker.end()

    def _serve(self) -> None:
        try:
            while True:
                try:
                    item = self._queue.get(self._limits.idle_timeout if self._worker is not None else None)
                except TimeoutError:
                    self._retire()
                    continue
                if item is None:
                    return
                task, future = item
                del item
                if future.set_running_or_notify_cancel():
                    self._settle(task, future)
                del task, future  # hold no arguments and no results while waiting
        finally:
            self._retire()

    def _settle(self, task: Task, future: Future[Any]) -> None:
        with self._lock:
            self._current = future
        future.on_cancel(lambda: self.end(future))
        try:
            message = self._run(task, future)
            with self._lock:
                self._current = None
            if message is not None:
                future.seconds, result = open_outcome(message, task.name)
                future.settle(result())
        except BaseException as error:
            future.fail(error)
        finally:
            with self._lock:
                self._current = None
            future.on_cancel(None)

    def _run(self, task: Task, future: Future[Any]) -> Message | None:
        """Run a task, on more than one worker if they die; None if it was cancelled."""
        packed = pack(task, f"{task.name} with its arguments")
        deaths = idle_deaths = 0
        start = time.monotonic()
        while not future.done():
            worker = self._ready_worker()
            if future.done():  # cancelled before the worker was there to be ended
                return None
            try:
                return worker.run(packed, self._limits.task_timeout)
            except TaskTimeoutError as error:
                self._lose()
                future.seconds = time.monotonic() - start
                raise TaskTimeoutError(f"{task.name} on worker {self._name}: {error}") from None
            except WorkerGone as gone:
                self._lose()
                if future.done():
                    return None
                if gone.started:
                    deaths += 1
                else:
                    idle_deaths += 1
                if deaths > self._limits.max_retries or idle_deaths > _IDLE_DEATHS:
                    future.seconds = time.monotonic() - start
                    raise self._died(task, worker, deaths) from None
                self.n_retries += gone.started
        return None

    def _ready_worker(self) -> Worker:
        """Return a living worker, a fresh one if need be."""
        worker = self._worker
        most = self._limits.max_tasks_per_child
        if worker is not None and (not worker.alive or (most is not None and worker.n_tasks >= most)):
            self._retire()
            worker = None
        if worker is None:
            owner = self._owner()
            if owner is None:
                raise ExecutorError(
                    "the executor was given up while tasks were waiting; keep a reference to it"
                )
            command, environment = owner._command(self._index)
            del owner
            worker = Worker(self._name, command, environment, self._limits.start_timeout)
            with self._lock:
                self._worker = worker
        try:
            worker.wait_until_ready()
        except BaseException:
            self._lose()
            raise
        return worker

    def _lose(self) -> None:
        """Forget a worker that is gone."""
        with self._lock:
            self._worker = None

    def _retire(self) -> None:
        """End the worker in peace."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()

    def _died(self, task: Task, worker: Worker, deaths: int) -> WorkerDiedError:
        times = "once" if deaths <= 1 else f"{deaths} times"
        return WorkerDiedError(
            f"worker {self._name} {describe_exit(worker.exit_code)} while it ran {task.name}, which was tried "
            f"{times} (max_retries={self._limits.max_retries}); the last lines of its standard error:\n"
            f"{worker.stderr or '(none)'}",
            self._name,
            worker.exit_code,
            worker.stderr,
        )


def _abandon(queue: _Queue, slots: list[_Slot]) -> None:
    """End everything at once: nobody is left who could ask for a result."""
    queue.drop_all()
    queue.close()
    for slot in slots:
        slot.end()
    for slot in slots:
        slot.join(1.0)
