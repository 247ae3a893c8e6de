"""One executor's tasks on a Dask cluster, on the client's side: one coroutine per task in progress."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import contextlib
import functools
import os
import secrets
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from distributed import Client

from ffnn.exceptions import ExecutorError, HostError
from ffnn.executor import Future, Task
from ffnn.parallel.preflight.check import report
from ffnn.parallel.tasks.events import take_event
from ffnn.parallel.tasks.store import Hashes
from ffnn.parallel.tasks.task import pack_task, settle
from ffnn_plugins.executors._dask.connect import close_quietly, take_note
from ffnn_plugins.executors._dask.hosts import Hosts
from ffnn_plugins.executors._dask.options import DaskLimits
from ffnn_plugins.executors._dask.send import Sender

__all__ = ["Run"]

T = TypeVar("T")

_LOOK = 0.5  # seconds between two looks at the cluster
_SILENCE = 45.0  # seconds without an answer after which the scheduler is considered lost
_WIND_UP = 10.0  # seconds for workers and scheduler to clean up
_AHEAD = 2  # tasks in progress per thread of the cluster, so that no thread is idle
_LEAST_AHEAD = 16  # the least number in progress, which an adaptive cluster sees as demand
_THREADS = "ffnn-dask"


class Run:
    """The tasks of one executor, from its first to its last.

    Coroutines and the methods marked so run on the client's event loop, and therefore one at a time.

    Parameters
    ----------
    client : distributed.Client
        A connected client.
    own : bool
        Whether to close the client at the end.
    limits : DaskLimits
        The limits of the executor.
    share : bool
        Whether the workers of a host share what they compute.
    """

    def __init__(self, client: Client, own: bool, limits: DaskLimits, share: bool) -> None:
        self.client = client
        self.address = str(getattr(client.scheduler, "address", "(unknown)"))
        self._own = own
        self._pid = os.getpid()
        self._limits = limits
        self._loop: asyncio.AbstractEventLoop = cast(Any, client.loop).asyncio_loop
        name = secrets.token_hex(8)
        settings = {
            "run": name,
            "lease": f"ffnn-lease-{name}",
            # the scheduler clears the topic that is named after a client, some time after the client has gone
            "events": client.id if own else f"ffnn-events-{name}",
            "report": report(),
            "ignore": limits.ignore_versions,
            "threads": limits.threads_per_worker,
            "share": share,
            "slots": {
                "task_timeout": limits.task_timeout,
                "max_tasks_per_child": limits.max_tasks_per_child,
                "start_timeout": limits.start_timeout,
            },
        }
        self._hosts = Hosts(client, settings)
        self._sender = Sender(client, self._hosts, settings, limits.max_retries)
        self._waiting: collections.deque[tuple[Task, Future[Any], Hashes]] = collections.deque()
        self._jobs: dict[asyncio.Task[None], Future[Any]] = {}
        self._reasons: dict[asyncio.Task[None], BaseException] = {}  # why a job was cancelled
        self._failure: ExecutorError | None = None
        self._idle = threading.Event()
        self._idle.set()
        self._threads = concurrent.futures.ThreadPoolExecutor(4, _THREADS)
        self._lock = threading.Lock()
        self._finisher: threading.Thread | None = None
        # the scheduler drops this key when the client is gone, which tells workers that they are no longer needed
        self._lease = client.submit(bool, key=settings["lease"], pure=False)
        self._watcher = self._await(self._start_watch())

    @property
    def n_workers(self) -> int:
        """The number of threads available for tasks, at least 1."""
        found = max(self._hosts.n_threads, 1)
        return found if self._limits.n_workers is None else min(found, self._limits.n_workers)

    @property
    def n_retries(self) -> int:
        """The number of times that a task was sent again because it was lost."""
        return self._sender.n_retries

    @property
    def bytes_sent(self) -> int:
        """The number of bytes of tasks and their data that were sent."""
        return self._sender.bytes_sent + self._hosts.bytes_sent

    def submit(self, task: Task, future: Future[Any]) -> None:
        """Run a task as soon as the cluster can take it."""
        self._idle.clear()
        self._call(self._take, task, future, Hashes.of_call())

    def prepare(self) -> None:
        """Wait until there are workers with this process's versions.

        Raises
        ------
        HostError
            If there are too few after ``start_timeout``, or none is fit.
        """
        self._await(self._prepare())

    def stop(self, wait: bool) -> None:
        """Clean up once the last task is done."""
        with self._lock:
            if self._finisher is None:
                self._finisher = threading.Thread(target=self._finish, name=f"{_THREADS}-end", daemon=True)
                self._finisher.start()
        # a task's callback runs on one of these threads, and must not wait for itself
        if wait and not threading.current_thread().name.startswith(_THREADS):
            self._finisher.join()

    def abandon(self) -> None:
        """End everything without waiting, as no caller is left for the results; do nothing in a fork."""
        if os.getpid() != self._pid:
            return
        self._call(self._fail, concurrent.futures.CancelledError())
        with contextlib.suppress(RuntimeError):  # no thread can be started at the end of the program, nor is one needed
            self.stop(wait=False)

    def _finish(self) -> None:
        """Wait for the last task, and clean up (in a thread of its own)."""
        self._idle.wait()
        with contextlib.suppress(Exception):
            self._await(self._wind_up())
        self._threads.shutdown(wait=False)
        if self._own:
            with contextlib.suppress(Exception):
                self.client.close(timeout=_WIND_UP)

    async def _wind_up(self) -> None:
        self._watcher.cancel()
        self._sender.close()
        if self._failure is None:
            with contextlib.suppress(TimeoutError, OSError):
                await asyncio.wait_for(self._hosts.close(), _WIND_UP)
        self._lease.release()

    # --- the cluster

    async def _start_watch(self) -> asyncio.Task[None]:
        await self._hosts.look()
        return asyncio.create_task(self._watch())

    async def _prepare(self) -> None:
        until = time.monotonic() + self._limits.start_timeout
        while self._hosts.n_threads < self._limits.min_workers:
            self._hosts.raise_if_all_are_unfit()
            if time.monotonic() > until:
                raise self._too_few()
            await asyncio.sleep(_LOOK / 2)
            await self._hosts.look()

    async def _watch(self) -> None:
        """Check periodically that scheduler and workers still answer."""
        enough = heard = time.monotonic()
        look: asyncio.Task[None] | None = None
        while True:
            await asyncio.sleep(_LOOK)
            if self.client.status != "running":
                return self._lose("the connection was lost")
            if look is None or look.done():
                if look is None or look.exception() is None:
                    heard = time.monotonic()
                look = asyncio.create_task(self._hosts.look())
                look.add_done_callback(take_note)
            elif time.monotonic() - heard > _SILENCE:
                return self._lose(f"it did not answer for {_SILENCE:g} seconds")
            if self._hosts.n_threads >= self._limits.min_workers or self._idle.is_set():
                enough = time.monotonic()
            elif time.monotonic() - enough > self._limits.start_timeout:
                self._fail(self._too_few())

    def _too_few(self) -> HostError:
        have, need = self._hosts.n_threads, self._limits.min_workers
        return HostError(
            f"the Dask cluster at {self.address} has {have or 'no'} thread{'s' * (have != 1)} for tasks, which is less "
            f"than min_workers={need}, and had no more within {self._limits.start_timeout:g} seconds (start_timeout)."
            f"{self._hosts.left_out()} Start workers (dask worker {self.address}), or scale the cluster.",
            self.address,
        )

    def _lose(self, why: str) -> None:
        """Give up (on the event loop), since a cluster without its scheduler cannot be used."""
        self._failure = HostError(
            f"the Dask scheduler at {self.address} is gone: {why}. What it had not delivered is lost; see its log, "
            f"start it again, and run this again.",
            self.address,
        )
        self._fail(self._failure)
        if self._own:  # it would try to reconnect, and log its failures
            self._threads.submit(close_quietly, self.client)

    # --- the tasks

    def _take(self, task: Task, future: Future[Any], hashes: Hashes) -> None:
        """Take a task (on the event loop)."""
        if self._failure is not None:
            future.fail(self._failure)
        else:
            self._waiting.append((task, future, hashes))
        self._pump()

    def _pump(self) -> None:
        """Send as many tasks as the cluster can use (on the event loop)."""
        most = self._limits.n_workers or max(_AHEAD * self._hosts.n_threads, _LEAST_AHEAD)
        while self._waiting and len(self._jobs) < most:
            task, future, hashes = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                job = self._loop.create_task(self._carry(task, future, hashes))
                self._jobs[job] = future
                future.on_cancel(functools.partial(self._call, job.cancel))
                job.add_done_callback(self._forget)
        if not self._jobs and not self._waiting:
            self._idle.set()

    def _forget(self, job: asyncio.Task[None]) -> None:
        future = self._jobs.pop(job)
        reason = self._reasons.pop(job, None)
        if job.cancelled():  # cancelled by the future, which is then done, or for a reason
            self._threads.submit(future.fail, reason or concurrent.futures.CancelledError())
        self._pump()

    async def _carry(self, task: Task, future: Future[Any], hashes: Hashes) -> None:
        """Send a task to a worker, and settle its future with the answer."""
        end: Callable[[], Any]
        try:
            packed = await self._loop.run_in_executor(
                self._threads, pack_task, task, f"{task.name} with its arguments", hashes, future.span
            )
            message = await self._sender.send(packed, task.name, functools.partial(take_event, future))
        except Exception as error:
            end = functools.partial(future.fail, error.with_traceback(None))
        else:
            end = functools.partial(settle, future, task.name, message)
        self._threads.submit(end)  # not awaited, since callbacks may do anything, such as wait for this very job

    def _fail(self, error: BaseException) -> None:
        """Fail every task that is not done (on the event loop)."""
        while self._waiting:
            self._threads.submit(self._waiting.popleft()[1].fail, error)
        for job in self._jobs:
            self._reasons[job] = error
            job.cancel()
        self._pump()

    # --- from other threads

    def _call(self, function: Callable[..., Any], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and there is nothing left to call
            self._loop.call_soon_threadsafe(function, *args)

    def _await(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
        finally:
            coroutine.close()  # needed if the loop was already closed
