"""The diagnosis of hosts, for ``ffnn doctor``."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import os
import platform
import tempfile
import threading
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ffnn.builders._gpus import gpu_failure
from ffnn.exceptions import HostError, HostWarning, WorkerStartError
from ffnn.executor import BaseExecutor, Task
from ffnn.parallel.agent.facts import facts
from ffnn.parallel.hosts.host import Host
from ffnn.parallel.preflight.check import check_report
from ffnn.parallel.preflight.compare import Report, report
from ffnn.parallel.slots.worker import Worker, WorkerGone
from ffnn.parallel.tasks.task import open_outcome, pack
from ffnn.parallel.words import plural

__all__ = ["Diagnosis", "diagnose_hosts", "diagnose_tasks", "look_here"]

SKEW = 60.0
"""Seconds by which a host's clock may differ from this machine's without a warning."""
_LITTLE_DISK = 1 << 30  # bytes
_MOST_AT_ONCE = 32  # hosts
_LOOK = 30.0  # seconds for a host to report its time
_PROBE = 300.0  # seconds for a task on an executor that cannot diagnose its hosts

# the store's folder is the first argument; df's answer has the free kibibytes in the fourth column
_LOOK_AROUND = 'date +%s; df -Pk "$1"'


@dataclass
class Diagnosis:
    """The diagnosis of one host; None stands for a value that could not be determined.

    Attributes
    ----------
    host : str
        The host's name.
    n_workers : int
        The number of workers that it would have.
    error : Exception or None
        The reason why it cannot be used; None if it can.
    seconds : float or None
        Seconds to reach it; None if that failed.
    worker_seconds : float or None
        Seconds from then until a worker had run a task.
    report : Report or None
        The versions installed in its Python.
    cpus, memory, disk : int or None
        The CPUs and the bytes of memory that its workers share, and the bytes that are free where data is stored.
    gpus : tuple of str or None
        Its GPUs.
    gpu_failure : str or None
        What TensorFlow says there as it finds none of them; None if it finds one.
    skew : float or None
        Seconds by which its clock is ahead of this machine's.
    """

    host: str
    n_workers: int
    error: Exception | None = None
    seconds: float | None = None
    worker_seconds: float | None = None
    report: Report | None = None
    cpus: int | None = None
    memory: int | None = None
    disk: int | None = None
    gpus: tuple[str, ...] | None = None
    gpu_failure: str | None = None
    skew: float | None = None

    @property
    def usable(self) -> bool:
        """Whether the host can be used."""
        return self.error is None

    def warnings(self) -> list[str]:
        """Return the problems that do not keep the host from being used."""
        found = []
        if self.skew is not None and abs(self.skew) >= SKEW:
            found.append(
                f"its clock is {describe_seconds(abs(self.skew))} {'ahead of' if self.skew > 0 else 'behind'} this "
                "machine's. Searches tolerate that, but the times of its files and logs are wrong: set its clock "
                "(timedatectl set-ntp true)."
            )
        if self.disk is not None and self.disk < _LITTLE_DISK:
            found.append(
                f"only {self.disk / 2**20:.0f} MiB are free where data is stored. Free some, or set TMPDIR there to "
                "a folder that has more."
            )
        if self.gpus and self.gpu_failure is not None:
            found.append(
                f"it has {plural(len(self.gpus), 'GPU')}, of which TensorFlow finds none: {self.gpu_failure}. Install "
                "CUDA's libraries there (python -m pip install 'tensorflow[and-cuda]'), or set CUDA_VISIBLE_DEVICES=-1."
            )
        if self.cpus is not None and self.n_workers > self.cpus:
            found.append(f"its {self.n_workers} workers share {plural(self.cpus, 'CPU')}. Fewer workers are faster.")
        if self.report is not None and self.report.machine != platform.machine():
            found.append(
                f"its processors are {self.report.machine}, this machine's {platform.machine()}: scores may differ "
                "in their last digits."
            )
        return found


def diagnose_hosts(hosts: Sequence[Host], start_timeout: float) -> list[Diagnosis]:
    """Diagnose the hosts of an executor, all at the same time.

    Parameters
    ----------
    hosts : sequence of Host
        The hosts; they stay connected where that worked.
    start_timeout : float
        Seconds that a worker may take to start.

    Returns
    -------
    list of Diagnosis
        One per host, in the same order; each holds its host's error.
    """
    found = [Diagnosis(host.name, host.provisioner.n_workers) for host in hosts]
    few = threading.Semaphore(_MOST_AT_ONCE)

    def look(host: Host, into: Diagnosis) -> None:
        with few:
            _diagnose(host, into, start_timeout)

    # not a ThreadPoolExecutor, which would wait for its threads even after Ctrl-C
    threads = [threading.Thread(target=look, args=pair, daemon=True) for pair in zip(hosts, found, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HostWarning)  # the diagnosis holds the same message
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)  # in turns: a Ctrl-C that comes just before a join would wait for its end
    return found


def _diagnose(host: Host, found: Diagnosis, start_timeout: float) -> None:
    """Diagnose one host into `found`."""
    start = time.monotonic()

    def look() -> None:
        found.seconds = time.monotonic() - start
        found.cpus, found.memory, found.gpus = host.facts.cpus, host.facts.memory, tuple(host.facts.gpus)
        with contextlib.suppress(HostError):  # then nothing is known, and the check will report the problem
            _look_around(host, found)

    host.on_start = look
    try:
        host.connect()
        begin = time.monotonic()
        there = _try_worker(host, start_timeout)
        found.worker_seconds = time.monotonic() - begin
        found.report, found.gpu_failure = there["report"], there["gpu_failure"]
    except Exception as error:
        found.error = error
        found.report = host.report
    finally:
        host.on_start = lambda: None


def _look_around(host: Host, found: Diagnosis) -> None:
    """Read the host's clock and the free space of its store."""
    before = time.time()
    done = host.run(["sh", "-c", _LOOK_AROUND, "sh", host.facts.store], timeout=_LOOK)
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    try:
        found.skew = int(lines[0]) + 0.5 - (before + time.time()) / 2
        found.disk = int(lines[-1].split()[3]) * 1024
    except (IndexError, ValueError):
        return  # the host lacks these commands: the values stay unknown


def _try_worker(host: Host, start_timeout: float) -> dict[str, Any]:
    """Start a worker, run a trivial task on it, end it, and return the result."""
    said: collections.deque[bytes] = collections.deque(maxlen=100)
    worker = Worker(f"{host.name}-doctor", host.launch(0), start_timeout, said.append)
    try:
        worker.wait_until_ready()
        packed = pack(Task(_look_from_inside), "a look at the worker")
        _, result = open_outcome(worker.run(packed, start_timeout), "a look at the worker")
        worker.stop()
        there: dict[str, Any] = result()
        return there
    except WorkerGone:
        raise WorkerStartError(
            f"worker {worker.name} {worker.end_in_words}; its last words:\n{worker.stderr or '(none)'}"
        ) from None
    finally:
        worker.kill()


def diagnose_tasks(executor: BaseExecutor, name: str) -> Diagnosis:
    """Diagnose an executor without its own ``diagnose``, by running a trivial task on it."""
    found = Diagnosis(name, executor.n_workers)
    start = time.monotonic()
    try:
        future = executor.submit(_look_from_inside)
        done, _ = concurrent.futures.wait([future], _PROBE)
        if not done:
            future.cancel()
            raise TimeoutError(
                f"a task that only looks around was not done after {_PROBE:g} seconds; see the logs of {name}."
            )
        there = future.result()
    except Exception as error:
        found.error = error
        return found
    found.seconds = found.worker_seconds = time.monotonic() - start
    found.skew = there.pop("time") - time.time()
    for attribute, value in there.items():
        setattr(found, attribute, value)
    try:
        check_report(name, there["report"])
    except HostError as error:
        found.error = error
    return found


def look_here() -> dict[str, Any]:
    """Return the properties of this machine; runs on a worker."""
    known = facts()
    disk = os.statvfs(os.environ.get("FFNN_STORE") or tempfile.gettempdir())
    return {
        "report": report(),
        "cpus": known["cpus"],
        "memory": known["memory"],
        "disk": disk.f_bavail * disk.f_frsize,
        "gpus": tuple(known["gpus"]),
        "time": known["time"],
    }


def _look_from_inside() -> dict[str, Any]:
    """Return the properties of a worker's machine, and why TensorFlow finds no GPU if there is one."""
    found = look_here()
    return found | {"gpu_failure": gpu_failure() if found["gpus"] else None}


def describe_seconds(seconds: float) -> str:
    """Return a duration in a suitable unit: ``3 minutes``."""
    for size, unit in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
