"""One slot of an executor: a thread that owns a worker on a host and takes tasks from the executor's queue."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from ffnn.exceptions import ExecutorError, TaskTimeoutError, WorkerDiedError
from ffnn.executor import Future
from ffnn.parallel.hosts.host import Host
from ffnn.parallel.hosts.shipping import DataChangedError
from ffnn.parallel.options import TaskLimits, check_seconds
from ffnn.parallel.slots.exchange import Exchange
from ffnn.parallel.slots.logs import Logs
from ffnn.parallel.slots.queue import Item, Queue
from ffnn.parallel.slots.worker import Worker, WorkerGone, without_addresses
from ffnn.parallel.tasks.store import MissingDataError
from ffnn.parallel.tasks.task import open_outcome, without_frames
from ffnn.parallel.tasks.wire import Kind, Message

__all__ = ["Slot", "SlotLimits"]

_IDLE_DEATHS = 3  # the number of workers that may be lost before they start the task
_PATIENCE = 1.0  # seconds after which a slot whose host is left out tries again


@dataclass(frozen=True, kw_only=True)
class SlotLimits(TaskLimits):
    """The limits of a task and its worker in a slot.

    Attributes
    ----------
    idle_timeout : float
        Seconds without a task after which a worker process is ended.
    """

    idle_timeout: float

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "idle_timeout", check_seconds("idle_timeout", self.idle_timeout))


class Slot:
    """A thread and the worker that it owns.

    Parameters
    ----------
    host : Host
        The host of the worker.
    index : int
        The number of the slot on its host.
    queue : Queue
        The queue of tasks.
    limits : SlotLimits
        The limits of a task and its worker.
    logs : Logs
        The logs of the workers' standard error.
    exchange : Exchange
        What hosts compute for each other.
    """

    def __init__(
        self, host: Host, index: int, queue: Queue, limits: SlotLimits, logs: Logs, exchange: Exchange
    ) -> None:
        self._name = f"{host.name}-{index}"
        self._host = host
        self._index = index
        self._queue = queue
        self._limits = limits
        self._logs = logs
        self._exchange = exchange
        self._worker: Worker | None = None
        self._current: Future[Any] | None = None
        self._lock = threading.Lock()  # guards the two above against cancelling threads
        self._thread: threading.Thread | None = None
        self.n_tasks: int = 0

    def start_thread(self) -> None:
        """Start the thread, if it does not run yet.

        Raises
        ------
        RuntimeError
            If the system allows no more threads.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            try:
                self._thread.start()
            except RuntimeError:
                self._thread = None
                raise

    @property
    def is_this_thread(self) -> bool:
        """Whether the calling thread is this slot's."""
        return self._thread is threading.current_thread()

    def join(self, timeout: float | None = None) -> None:
        """Wait (seconds) until the queue is closed and empty, and the worker gone."""
        if self._thread is not None and not self.is_this_thread:
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
                    if not self._queue.wait(self._limits.idle_timeout if self._worker is not None else None):
                        return
                except TimeoutError:
                    self._retire()
                    continue
                # a task is taken only by a slot that can run it
                worker = self._ready_worker()
                item = self._queue.take() if worker is not None else None
                if worker is not None and item is not None and item.take():
                    self._settle(worker, item)
                del item, worker  # keep no arguments and no results while waiting
        finally:
            self._retire()

    def _ready_worker(self) -> Worker | None:
        """Return a live worker, started if necessary; None if there is none for now."""
        worker = self._worker
        most = self._limits.max_tasks_per_child
        if worker is not None and (not worker.alive or (most is not None and worker.n_tasks >= most)):
            self._retire()
            worker = None
        if worker is not None:
            return worker
        known = self._host.slots[self._index]
        if known.rest:
            self._queue.pass_on(min(known.rest, _PATIENCE))
            return None
        if known.has_failed:  # it may fail again, slowly
            self._queue.pass_on(0.0)
        return self._start_worker()

    def _start_worker(self) -> Worker | None:
        """Start a worker and return it when it is ready; None if it does not start."""
        try:
            process = self._host.launch(self._index)
        except ExecutorError:
            self._queue.pass_on(_PATIENCE)
            return None
        log = self._logs.writer(self._name)
        worker = Worker(self._name, process, self._limits.start_timeout, log, self._exchange)
        with self._lock:
            self._worker = worker
        died = False
        failure: ExecutorError | None = None
        try:
            worker.wait_until_ready()
        except ExecutorError as error:
            failure = error
        except WorkerGone:  # killed by a signal: that may not happen again
            died, failure = True, self._died(worker, f"worker {self._name}", "before it was ready")
        if failure is None:
            self._host.succeed(self._index)
            return worker
        self._lose()
        if process.lost is None:  # the host itself records its loss
            self._host.fail_slot(self._index, failure, for_good=not died and not self._host.has_worked)
            self._queue.wake_all()
        return None

    def _settle(self, worker: Worker, item: Item) -> None:
        future = item.future
        future.worker = self._name
        with self._lock:
            self._current = future
        future.on_cancel(lambda: self.end(future))
        again = False
        failure: BaseException | None = None
        try:
            if not future.done():  # cancelled before its worker could be ended
                again = not self._run(worker, item)
        except BaseException as error:
            failure = without_frames(error)
        try:
            if failure is not None:  # outside `except`, so that it is not the context of errors in callbacks
                future.fail(failure)
        finally:
            with self._lock:
                self._current = None
            future.on_cancel((lambda: None) if again else None)
            if again:
                self._queue.put(item, first=True)
            elif future.cancelled() and self._worker is not None:
                self._retire(at_once=True)  # the worker may be ending already

    def _run(self, worker: Worker, item: Item) -> bool:
        """Run a task and settle its future; return False if it must be tried again."""
        packed = item.packed
        try:
            with self._host.having(packed.blobs):
                message = worker.run(packed.buffers, self._limits.task_timeout, item.take_event)
            if self._lacks_data(item, message):
                return False
        except TaskTimeoutError as error:
            self._lose()
            item.future.seconds = time.monotonic() - (item.began or 0.0)
            raise TaskTimeoutError(f"{item.name}: {error}") from None
        except WorkerGone as gone:
            self._lose()
            return item.future.done() or self._give_up(item, worker, gone)
        except DataChangedError:  # neither the worker nor the host is to blame
            if item.future.done():
                return True
            raise
        except ExecutorError:  # its data could not be stored
            self._retire(at_once=True)
            if item.future.done():
                return True
            if self._host.left_out is None:
                return self._give_up(item, worker, WorkerGone(started=False))
            if self._host.on_left_out():  # other hosts can still run the task
                return False
            raise
        self.n_tasks += 1
        self._host.succeed(self._index)
        self._answer(item, message)
        return True

    def _lacks_data(self, item: Item, message: Message) -> bool:
        """Return whether the host has lost data of the task, which must then be tried again."""
        if message[0] is not Kind.ERROR or not item.packed.blobs or item.idle_deaths >= _IDLE_DEATHS:
            return False
        try:
            open_outcome(message, item.name)[1]()
        except MissingDataError as error:
            item.idle_deaths += 1
            self._host.forget(error.names)
            error.__traceback__ = None
            return True
        except BaseException as error:
            error.__traceback__ = None  # its frames would keep the arguments alive
        return False

    def _answer(self, item: Item, message: Message) -> None:
        with self._lock:
            self._current = None
        item.settle(message)

    def _give_up(self, item: Item, worker: Worker, gone: WorkerGone) -> bool:
        """Count a lost worker; raise if that was the last try, else return False."""
        if gone.started:
            item.deaths += 1
        else:
            item.idle_deaths += 1
        if item.deaths > self._limits.max_retries or item.idle_deaths > _IDLE_DEATHS:
            item.future.seconds = time.monotonic() - (item.began or 0.0)
            tried = f"{item.deaths} times" if item.deaths > 1 else "once"
            ran = f"while it ran {item.name}, which was tried {tried}"
            when = ran if item.deaths else f"before it took {item.name}"
            # without the worker's name: scikit-learn groups failures by their texts
            raise self._died(worker, "a worker", f"{when} (max_retries={self._limits.max_retries})") from None
        if gone.started:
            self._queue.count_retry()
        return False

    def _lose(self) -> Worker | None:
        """Detach the worker, which is gone, and return it."""
        with self._lock:
            worker, self._worker = self._worker, None
        return worker

    def _retire(self, at_once: bool = False) -> None:
        """End the worker, normally or at once."""
        worker = self._lose()
        if worker is not None:
            worker.kill() if at_once else worker.stop()

    def _died(self, worker: Worker, who: str, when: str) -> WorkerDiedError:
        return WorkerDiedError(
            f"{who} {worker.end_in_words} {when}; the last lines of its standard error:\n"
            f"{without_addresses(worker.stderr) or '(none)'}",
            self._name,
            worker.exit_code,
            worker.stderr,
        )
