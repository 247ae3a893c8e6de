"""An executor of slots: each is a thread that owns one warm worker process on one of the executor's hosts.

Where hosts are and how a worker is started there is what provisioners say; queueing, retries, timeouts, cancellation,
recycling, the data that crosses once a host, and what happens when a host is lost are the same wherever they are.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Any

from ffnn.exceptions import ExecutorError, WorkerStartError
from ffnn.executor import Executor, Future, Task
from ffnn.parallel.hosts.host import Host
from ffnn.parallel.hosts.limits import remedy
from ffnn.parallel.hosts.provisioner import Provisioner
from ffnn.parallel.options import check_count, check_seconds
from ffnn.parallel.output import say_what_was_dropped
from ffnn.parallel.preflight.diagnosis import Diagnosis, diagnose_hosts
from ffnn.parallel.slots.crew import HostGroup, each_host
from ffnn.parallel.slots.logs import Logs
from ffnn.parallel.slots.queue import Item, Queue
from ffnn.parallel.slots.slot import Limits, Slot
from ffnn.parallel.tasks.store import Hashes
from ffnn.parallel.tasks.task import Packed, open_outcome, pack_task
from ffnn.parallel.tasks.wire import Message

__all__ = ["SlotExecutor"]

_LAST_MOMENT = 1.0  # seconds for workers to end by themselves when nobody wants their results


class SlotExecutor(Executor):
    """Threads that each own one worker process on a host.

    Parameters
    ----------
    provisioners : sequence of Provisioner
        The hosts.
    min_workers : int, default=1
        How many workers there must be at the start, once every host has been tried. Later, one is enough.
    task_timeout : float or None, default=None
        Seconds that a task may run, not counting those in which it imports modules; then its process is
        ended.
    max_retries : int, default=2
        How often a task is started again after its process died under it.
    max_tasks_per_child : int or None, default=None
        After how many tasks a process is replaced by a fresh one.
    start_timeout : float, default=120.0
        Seconds that a host may take to answer, and a process to start, and to take a task.
    idle_timeout : float, default=300.0
        Seconds without a task after which a process is ended, until there is a task again.
    host_timeout : float, default=30.0
        Seconds without any answer after which a host is taken for lost.
    logs : path or None, default=None
        A folder for what workers write to standard error; None keeps it only as long as the executor lives.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not what is said here; nothing has been started then.
    """

    def __init__(
        self,
        provisioners: Sequence[Provisioner],
        *,
        min_workers: int = 1,
        task_timeout: float | None = None,
        max_retries: int = 2,
        max_tasks_per_child: int | None = None,
        start_timeout: float = 120.0,
        idle_timeout: float = 300.0,
        host_timeout: float = 30.0,
        logs: str | os.PathLike[str] | None = None,
    ) -> None:
        limits = Limits(
            task_timeout=None if task_timeout is None else check_seconds("task_timeout", task_timeout),
            start_timeout=check_seconds("start_timeout", start_timeout),
            idle_timeout=check_seconds("idle_timeout", idle_timeout),
            max_retries=check_count("max_retries", max_retries, 0),
            max_tasks_per_child=(
                None if max_tasks_per_child is None else check_count("max_tasks_per_child", max_tasks_per_child, 1)
            ),
        )
        self._start_timeout = limits.start_timeout
        silence = check_seconds("host_timeout", host_timeout)
        self._hosts = [Host(where, start_timeout=limits.start_timeout, silence=silence) for where in provisioners]
        self._n_workers = sum(check_count("n_workers", where.n_workers, 1) for where in provisioners)
        if check_count("min_workers", min_workers, 1) > self._n_workers:
            raise ValueError(
                f"min_workers must be at most the number of workers, {self._n_workers}; got {min_workers}. "
                f"Pass a smaller min_workers, or more workers."
            )
        self._queue = Queue()
        self._crew = HostGroup(self._hosts, self._queue, min_workers)
        self._logs = Logs(logs)
        self._slots = [
            Slot(host, index, self._queue, limits, self._logs)
            for index in range(max((where.n_workers for where in provisioners), default=0))
            for host in self._hosts  # in turn, so that the first tasks meet every host
            if index < host.provisioner.n_workers
        ]
        self._threads_lock = threading.Lock()
        self._has_threads = False
        self._at_once = False
        self._finalizer: Any = None

    @property
    def n_workers(self) -> int:
        """The number of tasks that can run at the same time."""
        return self._n_workers

    @property
    def hosts(self) -> Sequence[Host]:
        """The hosts."""
        return self._hosts

    @property
    def n_hosts(self) -> int:
        """The number of machines that were given."""
        return len(self._hosts)

    @property
    def n_left_out(self) -> int:
        """The number of them that are not used at the moment, because they failed."""
        return sum(host.left_out is not None for host in self._hosts)

    @property
    def n_workers_left(self) -> int:
        """The number of workers that are not left out at the moment, by themselves or with their host."""
        return sum(host.n_workers_left for host in self._hosts)

    @property
    def n_retries(self) -> int:
        """The number of times that a task was started again because its process died under it."""
        return self._queue.n_retries

    @property
    def bytes_sent(self) -> int:
        """The number of bytes that were sent to hosts."""
        return sum(host.bytes_sent for host in self._hosts)

    def logs(self, worker: str) -> str:
        """Return what a worker, ``"alpha-0"`` for instance, has written to standard error."""
        return self._logs.read(worker)

    def prepare(self) -> None:
        """Connect every host, and look whether it can run workers, before there is a task.

        Raises
        ------
        ExecutorError
            If fewer workers than ``min_workers`` are left; nothing is left running then.
        """
        try:
            self._start_threads()
            self._crew.connect()
            if self._crew.error is not None:
                raise self._crew.error
        except BaseException:
            self.shutdown(cancel_futures=True)
            raise

    def diagnose(self) -> list[Diagnosis]:
        """Look at every host without a task, as ``ffnn doctor`` does."""
        return diagnose_hosts(self._hosts, self._start_timeout)

    def submit_packed(self, name: str, packed: Packed) -> Future[Message]:
        """Run a task that was packed elsewhere; its future is settled with the message that came back."""
        future: Future[Message] = Future()
        self._enqueue(Item(name, lambda: packed, future))
        return future

    def _start(self, task: Task, future: Future[Any]) -> None:
        name, hashes = task.name, Hashes.of_call()

        def pack() -> Packed:
            return pack_task(task, f"{name} with its arguments", hashes, future.span)

        def open_message(future: Future[Any], message: Message) -> Any:
            future.seconds, result = open_outcome(message, name)
            return result()

        self._enqueue(Item(name, pack, future, open_message))

    def _enqueue(self, item: Item) -> None:
        if not self._has_threads:
            try:
                self._start_threads()
            except ExecutorError as error:
                self._queue.fail_all(error, for_ever=True)
        self._queue.put(item)

    def _start_threads(self) -> None:
        self._claim()
        with self._threads_lock:
            if self._finalizer is None:  # ends the workers also when the executor is forgotten, or the program ends
                parts = self._queue, self._slots, self._hosts, self._logs
                self._finalizer = weakref.finalize(self, _abandon, os.getpid(), *parts)
            for index, slot in enumerate(self._slots):
                try:
                    slot.start_thread()
                except RuntimeError as error:
                    number = f"{index} of the threads for {self.n_workers} workers"
                    raise WorkerStartError(f"only {number} could be started: {error}{remedy(error)}") from None
            self._has_threads = True

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks, and release the workers once the last one is done.

        Parameters
        ----------
        wait : bool, default=True
            Return only when everything has ended.
        cancel_futures : bool, default=False
            Cancel every future that is not done, and end the hosts at once.
        """
        self._at_once = self._at_once or (cancel_futures and not self._is_anothers)
        super().shutdown(wait, cancel_futures=cancel_futures)

    def _stop(self, wait: bool) -> None:
        self._queue.close()
        if self._at_once:
            self._queue.cancel_all()
        parts = self._queue, self._slots, self._hosts, self._logs, self._at_once
        end = threading.Thread(target=_release, args=parts, daemon=True)
        try:
            end.start()
        except RuntimeError:  # the system allows no more threads
            _release(*parts)
            return
        # the executor may be shut down by a callback, that is, by one of its own threads
        if wait and not any(slot.is_this_thread for slot in self._slots):
            end.join()


def _release(queue: Queue, slots: Sequence[Slot], hosts: Sequence[Host], logs: Logs, at_once: bool) -> None:
    """Wait for the last task, unless it is to be at once, and end everything."""
    if not at_once:
        queue.wait_for_all()
    each_host(Host.close if at_once else Host.give_up, hosts)  # what is still being connected is of no use any more
    for slot in slots:
        slot.join()
    each_host(Host.close, hosts)
    logs.close()
    say_what_was_dropped()


def _abandon(pid: int, queue: Queue, slots: list[Slot], hosts: list[Host], logs: Logs) -> None:
    """End everything at once: nobody is left who could ask for a result; but not from a fork of their process."""
    if os.getpid() != pid:
        return
    queue.cancel_all()
    queue.close()
    for slot in slots:
        slot.end()
    until = time.monotonic() + _LAST_MOMENT
    for slot in slots:
        slot.join(max(until - time.monotonic(), 0.0))
    each_host(Host.close, hosts)
    logs.close()
