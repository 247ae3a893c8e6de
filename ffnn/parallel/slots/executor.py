"""An executor of slots: each is a thread that owns one warm worker process on one of the executor's hosts.

Provisioners define where the hosts are and how a worker is started there. Queueing, retries, timeouts, cancellation,
recycling, sending data once per host and recovery from a lost host are the same for all of them.
"""

from __future__ import annotations

import functools
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from ffnn.exceptions import ExecutorError, WorkerStartError
from ffnn.executor import Executor, Future, Task
from ffnn.parallel.hosts.host import Host
from ffnn.parallel.hosts.limits import remedy
from ffnn.parallel.hosts.provisioner import Provisioner
from ffnn.parallel.options import check_count, check_seconds
from ffnn.parallel.output import report_dropped_output
from ffnn.parallel.slots.diagnosis import Diagnosis, diagnose_hosts
from ffnn.parallel.slots.exchange import Exchange
from ffnn.parallel.slots.host_group import HostGroup, each_host
from ffnn.parallel.slots.logs import Logs
from ffnn.parallel.slots.queue import Item, Queue
from ffnn.parallel.slots.slot import Slot, SlotLimits
from ffnn.parallel.tasks.store import Hashes
from ffnn.parallel.tasks.task import Packed, pack_task, settle
from ffnn.parallel.tasks.wire import Message

__all__ = ["SlotExecutor"]

_LAST_MOMENT = 1.0  # seconds for workers to end by themselves when their results are not needed


class SlotExecutor(Executor):
    """Threads that each own one worker process on a host.

    Parameters
    ----------
    provisioners : sequence of Provisioner
        The hosts.
    min_workers : int, default=1
        The least number of workers at the start, once every host has been tried. Later, one is enough.
    task_timeout : float or None, default=None
        Seconds that a task may run, not counting those in which it imports modules; then its process is
        ended.
    max_retries : int, default=2
        The number of times that a task is started again after its process died.
    max_tasks_per_child : int or None, default=None
        The number of tasks after which a process is replaced by a fresh one.
    start_timeout : float, default=120.0
        Seconds that a host may take to answer, and a process to start, and to take a task.
    idle_timeout : float, default=300.0
        Seconds without a task after which a process is ended, until there is a task again.
    host_timeout : float, default=30.0
        Seconds without an answer after which a host is considered lost.
    logs : path or None, default=None
        A folder for what workers write to standard error; None keeps it only as long as the executor lives.

    Raises
    ------
    TypeError, ValueError
        If a parameter is invalid; nothing has been started then.
    """

    has_events = True

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
        limits = SlotLimits(
            task_timeout=task_timeout,
            start_timeout=start_timeout,
            idle_timeout=idle_timeout,
            max_retries=max_retries,
            max_tasks_per_child=max_tasks_per_child,
        )
        self._start_timeout = limits.start_timeout
        silence = check_seconds("host_timeout", host_timeout)
        self._n_workers = sum(check_count("n_workers", where.n_workers, 1) for where in provisioners)
        self._hosts = [Host(where, start_timeout=limits.start_timeout, silence=silence) for where in provisioners]
        if check_count("min_workers", min_workers, 1) > self._n_workers:
            raise ValueError(
                f"min_workers must be at most the number of workers, {self._n_workers}; got {min_workers}. "
                f"Pass a smaller min_workers, or more workers."
            )
        self._queue = Queue()
        self._host_group = HostGroup(self._hosts, self._queue, min_workers)
        self._logs = Logs(logs)
        exchange = Exchange(len(self._hosts))
        self._slots = [
            Slot(host, index, self._queue, limits, self._logs, exchange)
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
        """The number of hosts."""
        return len(self._hosts)

    @property
    def n_left_out(self) -> int:
        """The number of hosts left out at the moment because they failed."""
        return sum(host.left_out is not None for host in self._hosts)

    @property
    def n_workers_left(self) -> int:
        """The number of workers that are not left out at the moment, alone or with their host."""
        return sum(host.n_workers_left for host in self._hosts)

    @property
    def n_retries(self) -> int:
        """The number of times that a task was started again because its process died."""
        return self._queue.n_retries

    @property
    def bytes_sent(self) -> int:
        """The number of bytes that were sent to hosts."""
        return sum(host.bytes_sent for host in self._hosts)

    def logs(self, worker: str) -> str:
        """Return the standard error of a worker, ``"alpha-0"`` for instance."""
        return self._logs.read(worker)

    def prepare(self) -> None:
        """Connect every host and check that it can run workers, before the first task.

        Raises
        ------
        ExecutorError
            If fewer workers than ``min_workers`` are left; nothing is left running then.
        """
        try:
            self._start_threads()
            self._host_group.connect()
            if self._host_group.error is not None:
                raise self._host_group.error
        except BaseException:
            self.shutdown(cancel_futures=True)
            raise

    def share(self) -> None:
        """Share fitted transformers among all workers; called before the first one starts."""
        for host in self._hosts:
            host.provisioner.shares = True

    def diagnose(self) -> list[Diagnosis]:
        """Check every host without running the user's tasks, as ``ffnn doctor`` does."""
        self._end_when_forgotten()
        return diagnose_hosts(self._hosts, self._start_timeout)

    def submit_packed(
        self, name: str, packed: Packed, take_event: Callable[[Message], object] | None = None
    ) -> Future[Message]:
        """Run a task that was packed elsewhere.

        Parameters
        ----------
        name : str
            Its name in messages.
        packed : Packed
            The task.
        take_event : callable, optional
            Called with each event that it sends, and each message of a callback, in the thread that waits for it.

        Returns
        -------
        Future
            Its result is the worker's message.
        """
        future: Future[Message] = Future()
        self._enqueue(Item(name, lambda: packed, future, take_event=take_event))
        return future

    def _start(self, task: Task, future: Future[Any]) -> None:
        name, hashes = task.name, Hashes.of_call()

        def pack() -> Packed:
            return pack_task(task, f"{name} with its arguments", hashes, future.span)

        self._enqueue(Item(name, pack, future, functools.partial(settle, future, name)))

    def _enqueue(self, item: Item) -> None:
        if not self._has_threads:
            try:
                self._start_threads()
            except ExecutorError as error:
                self._queue.fail_all(error, for_ever=True)
        self._queue.put(item)

    def _end_when_forgotten(self) -> None:
        """End agents and workers when the executor is garbage-collected, or the program ends."""
        with self._threads_lock:
            if self._finalizer is None:
                parts = self._queue, self._slots, self._hosts, self._logs
                self._finalizer = weakref.finalize(self, _abandon, os.getpid(), *parts)

    def _start_threads(self) -> None:
        self._claim()
        self._end_when_forgotten()
        with self._threads_lock:
            for index, slot in enumerate(self._slots):
                try:
                    slot.start_thread()
                except RuntimeError as error:
                    number = f"{index} of the threads for {self.n_workers} workers"
                    raise WorkerStartError(f"only {number} could be started: {error}{remedy(error)}") from None
            self._has_threads = True

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Shut down, see :meth:`ffnn.executor.Executor.shutdown`; with ``cancel_futures`` end the hosts at once."""
        self._at_once = self._at_once or (cancel_futures and not self._is_forked)
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
    """Wait for the last task unless `at_once` is true, then end all workers and hosts."""
    if not at_once:
        queue.wait_for_all()
    each_host(Host.close if at_once else Host.give_up, hosts)  # stop hosts that are still connecting
    for slot in slots:
        slot.join()
    each_host(Host.close, hosts)
    logs.close()
    report_dropped_output()


def _abandon(pid: int, queue: Queue, slots: list[Slot], hosts: list[Host], logs: Logs) -> None:
    """End everything at once, as no caller is left for the results; do nothing in a fork of the process."""
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
