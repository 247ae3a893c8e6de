"""Running one packed task on a Dask cluster, with retries when its worker is lost."""

from __future__ import annotations

import asyncio
import pickle
import re
import time
import uuid
from typing import Any, cast

from distributed import Client
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker

from ffnn.exceptions import ExecutorError, HostError, WorkerDiedError
from ffnn.parallel.slots.worker import describe_exit, without_addresses
from ffnn.parallel.tasks.task import Packed
from ffnn.parallel.tasks.wire import Kind, Message
from ffnn.parallel.words import plural
from ffnn_plugins.executors._dask.events import Events, TakeEvent
from ffnn_plugins.executors._dask.hosts import CALL, Hosts
from ffnn_plugins.executors._dask.results import Results

__all__ = ["Sender"]

_ENVELOPE = """
try:
    from ffnn_plugins.executors._dask.worker import run
except Exception as error:
    from distributed import get_worker
    outcome = {"state": "unfit", "worker": get_worker().address, "error": f"{type(error).__name__}: {error}"}
else:
    outcome = run(order)
"""


class Sender:
    """Sends tasks; all of it runs on the client's event loop.

    Parameters
    ----------
    client : distributed.Client
        A connected client.
    hosts : Hosts
        The cluster's workers, and the data that they have.
    settings : dict
        The parameters of the run that the workers need.
    max_retries : int
        The number of times that a task is sent again after it was lost.
    """

    def __init__(self, client: Client, hosts: Hosts, settings: dict[str, Any], max_retries: int) -> None:
        self._client = client
        self._events = Events(client, settings["events"])
        self._hosts = hosts
        self._settings = pickle.dumps(settings, protocol=5)
        self._results = Results(client)
        self._max_retries = max_retries
        self.n_retries = 0
        self.bytes_sent = 0

    def close(self) -> None:
        """Receive no more events."""
        self._events.close()

    async def send(self, packed: Packed, name: str, take_event: TakeEvent) -> Message:
        """Send a task to a worker that can run it, and return the answer.

        Parameters
        ----------
        packed : Packed
            The task.
        name : str
            Its name in messages.
        take_event : callable
            Called with each event that it sends, and each message of a callback.

        Raises
        ------
        ExecutorError
            If there is no such worker, or the task was lost too often, or took too long.
        """
        number = self._events.add(take_event)
        try:
            return await self._send(packed, name, number)
        finally:
            self._events.remove(number)

    async def _send(self, packed: Packed, name: str, number: int) -> Message:
        buffers = [bytes(buffer) for buffer in packed.buffers]
        blobs = {blob.name: blob for blob in packed.blobs}
        losses = 0
        while True:
            workers = await self._hosts.choose(blobs)
            began = time.monotonic()
            outcome = await self._try(buffers, name, number, workers)
            state = outcome["state"]
            if state == "done":
                return Kind(outcome["kind"]), outcome["buffers"]
            if state == "missing":
                lacks = [blobs[name] for name in outcome["names"]]
                self._hosts.supply(outcome["host"], outcome["worker"], lacks, began)
            elif state == "stuck":
                continue
            elif state == "unfit":
                await self._hosts.check([outcome["worker"]], outcome.get("error"))
            elif state == "broken":
                self._hosts.leave_out(outcome["worker"], outcome["error"])
            elif state == "failed":
                raise outcome["error"]
            else:
                losses += 1
                if losses > self._max_retries:
                    raise self._lost(outcome, name, losses)
                self.n_retries += 1

    async def _try(self, buffers: list[bytes], name: str, number: int, workers: list[str] | None) -> dict[str, Any]:
        """Run a task once, except for Dask's own retries; release it when no caller waits for it any more."""
        label = re.sub(r"[^\w.]+", "", name) or "task"  # the dashboard groups tasks by the part before the dash
        self.bytes_sent += sum(map(len, buffers))
        # flat, since Dask inspects nested arguments
        order = {"source": _ENVELOPE, "order": pickle.dumps((self._settings, name, number, buffers), protocol=5)}
        try:
            future = self._client.submit(
                eval,
                CALL,
                order,
                key=f"{label}-{uuid.uuid4()}",
                pure=False,
                workers=workers,
            )
        except Exception as error:  # the connection is closed, which the client will notice soon
            return {"state": "lost", "error": str(error)}
        try:
            outcome = await self._results.get(future, lambda: workers is not None and not self._hosts.has_any(workers))
            if outcome is None:
                return {"state": "stuck"}
            return cast(dict[str, Any], pickle.loads(outcome) if isinstance(outcome, bytes) else outcome)
        except FutureCancelledError as error:  # by another user, or with the connection
            while self._client.status != "running":  # until it is back, or the run gives up and cancels this coroutine
                await asyncio.sleep(0.1)
            return {"state": "lost", "error": str(error)}
        except KilledWorker as error:
            raise WorkerDiedError(
                f"{plural(error.allowed_failures + 1, 'Dask worker')} ended while they ran {name}, or were about to. "
                f"Look at the logs of the workers: most likely the system killed them for their memory.",
                str(error.last_worker.address),
            ) from None
        except Exception as error:
            raise ExecutorError(f"{name} could not be run by Dask: {type(error).__name__}: {error}") from error
        finally:
            future.release()

    def _lost(self, outcome: dict[str, Any], name: str, losses: int) -> ExecutorError:
        tried = f"{losses} times" if losses > 1 else "once"
        error = outcome.get("error")
        if isinstance(error, WorkerDiedError):
            return WorkerDiedError(
                f"a worker {describe_exit(error.exit_code)} while it ran {name}, which was tried {tried} "
                f"(max_retries={self._max_retries}); the last lines of its standard error:\n"
                f"{without_addresses(error.stderr) or '(none)'}",
                error.worker,
                error.exit_code,
                error.stderr,
            )
        return HostError(
            f"{name} was lost {tried} (max_retries={self._max_retries}): {error or 'it was cancelled'}. Look at "
            f"the scheduler's log for the client that cancelled it or restarted the cluster."
        )
