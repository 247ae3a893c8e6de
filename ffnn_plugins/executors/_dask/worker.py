"""The code on Dask's workers: it runs tasks in child processes, and ends those that are no longer wanted.

There is one :class:`_RunState` for each run and Dask worker: an executor with as many slots as the worker has threads.
A Dask task occupies one of these threads, which waits for the child that does the work. So the Dask worker survives
whatever a task does to its process: crash, hold Python's lock, use up memory.
"""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import contextlib
import functools
import pickle
import random
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import Any, cast

from distributed import Worker, get_worker
from distributed.core import Status

from ffnn.exceptions import ExecutorError, TaskPicklingError, TaskTimeoutError, WorkerDiedError
from ffnn.parallel.preflight.check import differences, report
from ffnn.parallel.slots.executor import SlotExecutor
from ffnn.parallel.tasks.budget import cpu_count
from ffnn.parallel.tasks.store import missing
from ffnn.parallel.tasks.task import Packed
from ffnn.parallel.tasks.wire import Kind
from ffnn_plugins.executors._dask.events import OutgoingEvents
from ffnn_plugins.executors._dask.folder import Folder, Incoming
from ffnn_plugins.executors._dask.here import Here

__all__ = ["close", "receive", "run"]

_LOOK = 0.25  # seconds between two checks that a task is still wanted; its events are sent then
_LEASE = 10.0  # seconds, about, between two checks that the client still lives
_LARGE = 1 << 20  # bytes from which a result is not copied again
_DONE = (Status.closing, Status.closed, Status.failed, Status.stopping, Status.stopped)

_run_states: dict[tuple[str, str], _RunState] = {}
# a queued task can start after its run was closed, and must not create a state that is never closed
_ended: collections.deque[tuple[str, str]] = collections.deque(maxlen=1000)
_lock = threading.Lock()


def run(order: bytes) -> bytes | dict[str, Any]:
    """Run a packed task in a Dask worker's thread and return its outcome; expected failures are not raised.

    Parameters
    ----------
    order : bytes
        The pickle of the settings (themselves pickled), the task's name, its number and its buffers. The settings are
        the run's name, the key that exists as long as its client, the topic of events, the client's versions, and the
        options of the slots.

    Returns
    -------
    bytes or dict
        A dictionary, pickled unless it is large: ``state`` is the outcome of the task, ``worker`` the Dask worker's
        address, and ``host`` its host's mark.
    """
    pickled, name, number, buffers = pickle.loads(order)
    outcome = _run(get_worker(), _settings(pickled), name, number, buffers)
    if sum(map(len, outcome.get("buffers", ()))) > _LARGE:
        return outcome
    return pickle.dumps(outcome, protocol=5)


def _run(worker: Worker, settings: dict[str, Any], name: str, number: int, buffers: Sequence[bytes]) -> dict[str, Any]:
    outcome: dict[str, Any] = {"worker": worker.address}
    if settings["differ"]:
        return {**outcome, "state": "unfit"}
    try:
        state = _get_run_state(worker, settings)
    except Exception as error:  # no folder or process could be made; another host may succeed
        return {**outcome, "state": "broken", "error": _travelling(error)}
    outcome["host"] = state.folder.mark
    lacks = missing(buffers, state.folder.data)
    if lacks:
        return {**outcome, "state": "missing", "names": lacks}
    outcome |= state.run(worker, name, buffers, OutgoingEvents(worker, settings["events"], number))
    if outcome["state"] == "broken":
        _close(settings["run"], worker.address)  # the next task gets a new one
    return outcome


@functools.lru_cache(maxsize=8)
def _settings(pickled: bytes) -> dict[str, Any]:
    settings: dict[str, Any] = pickle.loads(pickled)
    settings["differ"] = {found.name for found in differences(settings["report"], report())} - set(settings["ignore"])
    return settings


async def receive(
    settings: dict[str, Any], name: str, start: int, piece: bytes, size: int, dask_worker: Any = None
) -> str | None:
    """Receive a piece of data for the host's store (on a Dask worker's event loop).

    Returns
    -------
    str or None
        The reason why it could not be stored.
    """

    def take() -> str | None:
        try:
            _get_run_state(dask_worker, settings).incoming.take(name, start, piece, size)
        except OSError as error:
            return f"{error.strerror or error} ({error.filename or tempfile.gettempdir()})"
        except (ExecutorError, ValueError) as error:
            return str(error)
        return None

    return await asyncio.to_thread(take)


async def close(run: str, dask_worker: Any = None) -> None:
    """Remove the state of a run from a Dask worker, for good."""

    def end() -> None:
        with _lock:
            _ended.append((run, dask_worker.address))
        _close(run, dask_worker.address)

    # not on the event loop: the thread that holds the lock may wait for an answer from the loop
    await asyncio.to_thread(end)


class _RunState:
    """The state of one run on one Dask worker."""

    def __init__(self, worker: Worker, settings: dict[str, Any]) -> None:
        self.folder = Folder(settings["run"])
        self.incoming = Incoming(self.folder.data)
        self._key = settings["run"], worker.address
        self._active = 0
        here = Here(worker.address, worker.state.nthreads, settings["threads"] or _share(worker), self.folder)
        # the client decides on retries
        self._executor = SlotExecutor([here], max_retries=0, **settings["slots"])
        if settings["share"]:
            self._executor.share()
        threading.Thread(
            target=self._keep_lease, args=(worker, settings["lease"]), name="ffnn-lease", daemon=True
        ).start()

    def run(self, worker: Worker, name: str, buffers: Sequence[bytes], events: OutgoingEvents) -> dict[str, Any]:
        """Run a task, as long as Dask wants it."""
        with _lock:
            self._active += 1
        try:
            return self._run(worker, name, buffers, events)
        finally:
            with _lock:
                self._active -= 1

    def close(self) -> None:
        """End all children, and release the folder."""
        try:
            self._executor.shutdown(wait=True, cancel_futures=True)
        finally:
            self.folder.release()

    def _run(self, worker: Worker, name: str, buffers: Sequence[bytes], events: OutgoingEvents) -> dict[str, Any]:
        future = self._executor.submit_packed(name, Packed(list(buffers)), events.take)
        key = worker.get_current_task()
        while not concurrent.futures.wait([future], _LOOK)[0]:
            events.send()
            if not _wanted(worker, key):
                future.cancel()
        events.send()
        try:
            kind, answer = future.result()
        except concurrent.futures.CancelledError:
            return {"state": "cancelled"}
        except WorkerDiedError as error:
            return {"state": "died", "error": error}
        except (TaskTimeoutError, TaskPicklingError) as error:
            return {"state": "failed", "error": _travelling(error)}
        except Exception as error:
            return {"state": "broken", "error": _travelling(error)}
        if kind is Kind.ERROR and (lacks := missing(buffers, self.folder.data)):
            return {"state": "missing", "names": lacks}  # something has removed files
        # bytearrays, so that the arrays in them can be written to
        return {"state": "done", "kind": int(kind), "buffers": [bytearray(buffer) for buffer in answer]}

    def _keep_lease(self, worker: Worker, lease: str) -> None:
        """Close this state when the client is gone, as the scheduler then drops the client's key."""
        gone = 0
        while gone < 2:
            time.sleep(_LEASE * random.uniform(0.75, 1.25))  # so that the workers do not all ask at once
            with _lock:
                if _run_states.get(self._key) is not self:
                    return
                busy = self._active > 0
            if worker.status in _DONE:
                break
            gone = gone + 1 if not busy and not _known(worker, lease) else 0
        with _lock:
            if _run_states.get(self._key) is not self:
                return
            del _run_states[self._key]
        self.close()


def _get_run_state(worker: Worker, settings: dict[str, Any]) -> _RunState:
    key = settings["run"], worker.address
    with _lock:
        if key in _ended:
            raise ExecutorError(f"the run {key[0]} was closed on the Dask worker {key[1]}, and takes no more tasks")
        if key not in _run_states:
            _run_states[key] = _RunState(worker, settings)
        return _run_states[key]


def _close(run: str, address: str) -> None:
    with _lock:
        state = _run_states.pop((run, address), None)
    if state is not None:
        state.close()


def _wanted(worker: Worker, key: Any) -> bool:
    """Return whether a running task is still wanted; Dask removes the key of one that is not."""
    state = worker.state.tasks.get(key)
    return state is not None and state.state in ("executing", "long-running") and worker.status not in _DONE


def _known(worker: Worker, key: str) -> bool:
    """Return whether the scheduler knows a key; True if it cannot be asked, as the worker will soon end."""
    with contextlib.suppress(Exception):
        return bool(_ask(worker, worker.scheduler.get_task_status(keys=[key]))[key])
    return True


def _share(worker: Worker) -> int:
    """Return the CPUs for each slot, if all of the cluster's workers on this machine share them evenly."""
    host = worker.address.rpartition(":")[0]
    slots = worker.state.nthreads
    with contextlib.suppress(Exception):
        threads = _ask(worker, worker.scheduler.ncores())
        slots = max(slots, sum(count for address, count in threads.items() if address.rpartition(":")[0] == host))
    return max(1, cpu_count() // slots)


def _ask(worker: Worker, question: Any) -> Any:
    """Await an answer on the worker's event loop, from another thread."""
    return asyncio.run_coroutine_threadsafe(question, cast(Any, worker.loop).asyncio_loop).result(10.0)


def _travelling(error: Exception) -> Exception:
    """Return an exception that can be sent: ffnn's own, or an ExecutorError with the text of another."""
    if isinstance(error, ExecutorError):
        return error
    return ExecutorError(f"{type(error).__name__}: {error}")
