"""The workers of a Dask cluster: their versions, failures, and the data on their hosts."""

from __future__ import annotations

import asyncio
import collections
import shlex
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributed import Client

from ffnn.exceptions import HostError, HostWarning, VersionMismatchError
from ffnn.parallel.output import warn
from ffnn.parallel.preflight import versions
from ffnn.parallel.preflight.check import Report, check_report
from ffnn.parallel.tasks.store import Blob
from ffnn_plugins.executors._dask import worker as _dask_worker
from ffnn_plugins.executors._dask.connect import take_note

__all__ = ["CALL", "Hosts"]

CALL = "[exec(source, globals()), outcome][1]"
"""An expression that runs source code, which can be sent to any Python, whatever is installed there."""

_PIECE = 4 << 20  # bytes that go through the scheduler at a time
_MOST_AT_ONCE = 4  # hosts that get data at the same time
_ANSWER = 15.0  # seconds for workers to report their versions
_LOOK = 0.5  # seconds between two checks of a worker that is being sent data
_REST = 60.0  # seconds for which a worker that failed is left out


@dataclass
class _Host:
    """A store that some workers share."""

    workers: set[str] = field(default_factory=set)
    coming: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    arrived: dict[str, float] = field(default_factory=dict)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    failed: HostError | None = None


class Hosts:
    """The workers of a cluster; all but the properties runs on the client's event loop.

    Parameters
    ----------
    client : distributed.Client
        A connected client.
    settings : dict
        The parameters of the run that the workers need.
    """

    def __init__(self, client: Client, settings: dict[str, Any]) -> None:
        self._client = client
        self._settings = settings
        self._threads: dict[str, int] = {}
        self._left_out: dict[str, tuple[HostError, float]] = {}  # the reason, and the time until which
        self._hosts: dict[str, _Host] = collections.defaultdict(_Host)
        self._uploads = asyncio.Semaphore(_MOST_AT_ONCE)
        self._gone: set[str] = set()
        self._warned: set[str] = set()
        self.bytes_sent = 0

    @property
    def n_threads(self) -> int:
        """The number of threads of the workers that are fit."""
        return sum(count for address, count in list(self._threads.items()) if address not in self._left_out)

    def has_any(self, addresses: Collection[str]) -> bool:
        """Return whether any of these workers is connected."""
        return not self._threads.keys().isdisjoint(addresses)

    # --- workers

    async def look(self) -> None:
        """Update the connected workers, and check the versions of new ones."""
        threads = dict(await self._client.nthreads())
        now = time.monotonic()
        self._left_out = {
            address: (error, until)
            for address, (error, until) in self._left_out.items()
            if address in threads and now < until
        }
        for host in self._hosts.values():
            host.workers &= threads.keys()
        self._gone |= self._threads.keys() - threads.keys()
        self._gone -= threads.keys()
        new = threads.keys() - self._threads.keys()
        if new:
            await self.check(new)
        self._threads = threads
        self._warn()

    async def check(self, addresses: Collection[str], reason: str | None = None) -> None:
        """Leave out the workers whose versions differ from this process's.

        Parameters
        ----------
        addresses : collection of str
            The workers.
        reason : str, optional
            The reason why they are unfit, if it is not their versions.
        """
        if self._left_out.keys() >= set(addresses):
            return
        source = f"{Path(versions.__file__).read_text(encoding='utf-8')}\noutcome = look()"
        order = {"source": source, "__name__": "ffnn_versions"}
        try:
            asked = self._client.run(eval, CALL, order, workers=list(addresses), on_error="return")
            answers: Mapping[str, Any] = await asyncio.wait_for(asked, _ANSWER)
        except TimeoutError:
            return  # a worker compares versions itself, too, before its first task
        for address, answer in answers.items():
            if not isinstance(answer, dict):
                continue  # it is gone, most likely
            try:
                check_report(address, Report(**answer), ignore=self._settings["ignore"], remedy=_remedy)
            except HostError as error:
                self.leave_out(address, error, float("inf"))
            else:
                if reason is not None:
                    self.leave_out(
                        address, HostError(f"Dask worker {address}: ffnn cannot be used there: {reason}", address)
                    )

    def leave_out(self, address: str, error: Exception, seconds: float = _REST) -> None:
        """Give a worker no tasks for a while, and warn if others go on."""
        if not isinstance(error, HostError):
            error = HostError(f"Dask worker {address}: {error}", address)
        self._left_out[address] = error, time.monotonic() + seconds
        self._warn()

    def left_out(self) -> str:
        """Return a text that names the workers left out, and why."""
        return "".join(f"\n{error}" for error, _ in self._left_out.values())

    def raise_if_all_are_unfit(self) -> None:
        """Raise an error if there are workers, but all of them are left out.

        Raises
        ------
        HostError
            With the reasons.
        """
        if self._threads and self._left_out and self._threads.keys() <= self._left_out.keys():
            raise _merged([error for error, _ in self._left_out.values()])

    # --- data

    async def choose(self, blobs: Collection[str]) -> list[str] | None:
        """Return the workers to which a task with these data may be sent; None means any.

        Workers that are receiving the data at the moment get their tasks later; if all are, this waits.

        Raises
        ------
        HostError
            If no worker is left.
        """
        while True:
            useless = {address: error for address, (error, _) in self._left_out.items()}
            busy: set[str] = set()
            coming: list[asyncio.Task[None]] = []
            for host in self._hosts.values() if blobs else ():
                if host.failed is not None:
                    useless.update(dict.fromkeys(host.workers, host.failed))
                elif tasks := [host.coming[name] for name in blobs if name in host.coming]:
                    busy |= host.workers
                    coming += tasks
            if not busy and not useless:
                return None
            useful = self._threads.keys() - useless.keys()
            if self._threads and not useful:
                raise _merged(list(useless.values()))
            if useful - busy:
                return sorted(useful - busy)
            if not coming:
                return None
            await asyncio.wait(coming, return_when=asyncio.FIRST_COMPLETED)

    def supply(self, mark: str, address: str, blobs: Sequence[Blob], since: float) -> None:
        """Start sending a host its missing data.

        Parameters
        ----------
        mark : str
            The host's.
        address : str
            A worker there.
        blobs : sequence of Blob
            The names of the missing data.
        since : float
            The time of the question; data that has arrived since is there by now.
        """
        host = self._hosts[mark]
        host.workers.add(address)
        for blob in blobs:
            known = blob.name in host.coming or host.arrived.get(blob.name, 0.0) >= since
            if host.failed is None and not known:
                host.coming[blob.name] = asyncio.create_task(self._upload(host, address, blob))

    async def _upload(self, host: _Host, address: str, blob: Blob) -> None:
        try:
            async with host.turn, self._uploads:
                reason = await self._send(address, blob)
            if reason is None:
                host.arrived[blob.name] = time.monotonic()
            else:
                host.failed = HostError(
                    f"the host of Dask worker {address} could not take {blob.size / 1e6:.1f} MB of data: {reason}. "
                    f"Make room there, or set TMPDIR for its workers to a folder with more.",
                    address,
                )
                self._warn()
        except Exception:
            # the worker is gone; the next task that needs the data asks again
            await asyncio.sleep(0.1)
        finally:
            del host.coming[blob.name]

    async def _send(self, address: str, blob: Blob) -> str | None:
        """Send data in pieces; return None, or the reason why it could not be stored."""
        for start in range(0, blob.size, _PIECE):
            piece = bytes(blob.data[start : start + _PIECE])
            order = (self._settings, blob.name, start, piece, blob.size)
            sent = asyncio.ensure_future(self._client.run(_dask_worker.receive, *order, workers=[address]))
            sent.add_done_callback(take_note)
            # a connection to a dead worker is tried for half a minute
            while not (await asyncio.wait({sent}, timeout=_LOOK))[0]:
                if address in self._gone:
                    raise ConnectionError(f"Dask worker {address} is gone")
            answers = sent.result()
            self.bytes_sent += len(piece)
            if answers[address] is not None:
                return str(answers[address])
        return None

    async def close(self) -> None:
        """Make all workers delete their data of this run."""
        for host in self._hosts.values():
            for task in host.coming.values():
                task.cancel()
        fit = [address for address in self._threads if address not in self._left_out]
        if fit:
            await self._client.run(_dask_worker.close, self._settings["run"], workers=fit, on_error="ignore")

    def _warn(self) -> None:
        """Warn that workers are left out, if others go on; once per reason."""
        out = dict(self._left_out)
        for host in self._hosts.values():
            if host.failed is not None:
                out.update(dict.fromkeys(host.workers, (host.failed, 0.0)))
        if not self._threads.keys() - out.keys():
            return
        for address, (error, _) in out.items():
            text = str(error).replace(address, "")
            if address in self._threads and text not in self._warned:
                self._warned.add(text)
                warn(f"{error}\nThe other workers go on.", HostWarning)


def _remedy(requirements: Sequence[str]) -> str:
    python = [one for one in requirements if one.startswith("python==")]
    packages = " ".join(shlex.quote(one) for one in requirements if one not in python)
    version = python[0].removeprefix("python==").removesuffix(".*") if python else None
    where = f"an environment (or image) of Python {version}" if version else "the environment (or image)"
    return f"Start the cluster's workers in {where} where this was done:\n  python -m pip install {packages}"


def _merged(errors: Sequence[HostError]) -> HostError:
    """Combine several errors into one."""
    kind = VersionMismatchError if all(isinstance(error, VersionMismatchError) for error in errors) else HostError
    texts = dict.fromkeys(map(str, errors))
    return kind("no Dask worker can run tasks:\n" + "\n".join(texts), errors[0].host)
