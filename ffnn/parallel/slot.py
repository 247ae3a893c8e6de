"""One slot of an executor: a thread that owns a worker and takes tasks from the executor's queue."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ffnn.exceptions import TaskTimeoutError, WorkerDiedError, WorkerStartError
from ffnn.executor import Future, Task
from ffnn.parallel.task import open_outcome, pack
from ffnn.parallel.wire import Message
from ffnn.parallel.worker import Worker, WorkerGone, describe_exit

__all__ = ["Limits", "Queue", "Slot"]

_Item: TypeAlias = tuple[Task, Future[Any]]
Launch: TypeAlias = Callable[[], tuple[Sequence[str], Mapping[str, str]]]
"""Returns a worker's command and its whole environment."""

_IDLE_DEATHS = 3  # how often in a row a worker may be lost before it has begun the task


@dataclass(frozen=True)
class Limits:
    """What :class:`~ffnn.parallel.slots.SlotExecutor` was given, checked."""

    task_timeout: float | None
    start_timeout: float
    idle_timeout: float
    max_retries: int
    max_tasks_per_child: int | None


class Queue:
    """What waits for a slot."""

    def __init__(self) -> None:
        self._items: collections.deque[_Item] = collections.deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, item: _Item) -> None:
        """Add an item at the end."""
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
        """Say that nothing comes any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def drop_all(self) -> None:
        """Cancel what waits."""
        with self._changed:
            dropped = list(self._items)
            self._items.clear()
        for _, future in dropped:
            future.cancel()


class Slot:
    """A thread and the worker that it owns."""

    def __init__(self, name: str, queue: Queue, limits: Limits, launch: Launch) -> None:
        self._name = name
        self._queue = queue
        self._limits = limits
        self._launch = launch
        self._worker: Worker | None = None
        self._current: Future[Any] | None = None
        self._lock = threading.Lock()  # guards the two above against those who cancel
        self._thread: threading.Thread | None = None
        self.n_retries = 0

    def start_thread(self) -> None:
        """Start to take tasks, if that has not happened yet."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        """Wait (seconds) until the queue is closed and empty, and the worker gone."""
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
            if error.__suppress_context__:
                error.__context__ = None
            # the frames of this thread say nothing to the user, and would keep the arguments alive
            future.fail(error.with_traceback(None))
        finally:
            with self._lock:
                self._current = None
            future.on_cancel(None)
            if future.cancelled() and self._worker is not None:
                self._retire(at_once=True)  # it may be on its way out already

    def _run(self, task: Task, future: Future[Any]) -> Message | None:
        """Run a task, on more than one worker if they die; None if it was cancelled."""
        packed = pack(task, f"{task.name} with its arguments")
        deaths = idle_deaths = 0
        start = time.monotonic()
        while not future.done():
            try:
                worker = self._ready_worker()
                if future.done():  # cancelled before the worker was there to be ended
                    return None
                return worker.run(packed, self._limits.task_timeout)
            except TaskTimeoutError as error:
                self._lose()
                future.seconds = time.monotonic() - start
                raise TaskTimeoutError(f"{task.name}: {error}") from None
            except WorkerGone as gone:
                lost = self._lose()
                if future.done():
                    return None
                if gone.started:
                    deaths += 1
                else:
                    idle_deaths += 1
                if deaths > self._limits.max_retries or idle_deaths > _IDLE_DEATHS:
                    future.seconds = time.monotonic() - start
                    raise self._died(task, lost, deaths) from None
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
            command, environment = self._launch()
            worker = Worker(self._name, command, environment, self._limits.start_timeout)
            with self._lock:
                self._worker = worker
        try:
            worker.wait_until_ready()
        except WorkerStartError:
            self._lose()
            raise
        return worker

    def _lose(self) -> Worker | None:
        """Forget a worker that is gone, and return it."""
        with self._lock:
            worker, self._worker = self._worker, None
        return worker

    def _retire(self, at_once: bool = False) -> None:
        """End the worker, in peace or at once."""
        worker = self._lose()
        if worker is not None:
            worker.kill() if at_once else worker.stop()

    def _died(self, task: Task, worker: Worker | None, deaths: int) -> WorkerDiedError:
        tried = f"{deaths} times" if deaths > 1 else "once"
        when = f"while it ran {task.name}, which was tried {tried}" if deaths else f"before it took {task.name}"
        code, stderr = (worker.exit_code, worker.stderr) if worker is not None else (None, "")
        return WorkerDiedError(
            f"worker {self._name} {describe_exit(code)} {when} "
            f"(max_retries={self._limits.max_retries}); the last lines of its standard error:\n"
            f"{stderr or '(none)'}",
            self._name,
            code,
            stderr,
        )
