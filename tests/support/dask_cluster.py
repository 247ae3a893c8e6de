"""Real Dask clusters on 127.0.0.1, for tests: schedulers and workers as programs of their own, with TLS or without.

A "host" is a folder for temporary files: workers with the same one share what has crossed to it. Whatever runs for a
cluster is known by a variable of its environment, so that a test can list it even after its parents have died.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.other_python import make_python

__all__ = [
    "Authority",
    "Cluster",
    "MakeCluster",
    "dask_authority",
    "dask_cluster",
    "python_with",
    "two_slots",
    "wait_for",
]

ROOT = Path(__file__).parents[2]
MARK = "FFNN_TEST_CLUSTER"
_START = 60.0  # seconds for a program of Dask's to be there

MakeCluster = Callable[..., "Cluster"]


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 20.0) -> float:
    """Wait until something is the case, and return how long that took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"{what}: not so after {seconds:g} seconds"
        time.sleep(0.05)
    return time.monotonic() - start


class Authority:
    """Signs certificates; all of them may do everything in the clusters that trust it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
        self.ca = folder / "ca.pem"
        certificate = self._sign(self._name, self._key, True, datetime.timedelta(hours=-1))
        self.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, starts: datetime.timedelta = datetime.timedelta(hours=-1)) -> tuple[Path, Path]:
        """Return the files of a certificate and its key, which is good from some time after now."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, False, starts)
        files = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].touch(mode=0o600)
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    def security(self, name: str = "client") -> dict[str, str]:
        """Return what `security` takes."""
        certificate, key = self.issue(name)
        return {"tls_ca_file": str(self.ca), "tls_client_cert": str(certificate), "tls_client_key": str(key)}

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, is_ca: bool, starts: datetime.timedelta
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now + starts,
            not_valid_after=now + datetime.timedelta(hours=12),
        ).add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        loopback = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        return builder.add_extension(loopback, critical=False).sign(self._key, hashes.SHA256())


@dataclass
class Program:
    """One program of Dask's: a scheduler, or a worker with its nanny."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path

    @property
    def pid(self) -> int:
        """The process id: of the nanny, if there is one."""
        return self.process.pid

    def kill(self) -> None:
        """End it without a warning."""
        self.process.kill()
        self.process.wait()


class Cluster:
    """A scheduler and its workers.

    Parameters
    ----------
    authority : Authority or None
        Who signs the certificates; None is plain TCP.
    starts : datetime.timedelta
        When they begin to be good.
    """

    def __init__(
        self, authority: Authority | None = None, starts: datetime.timedelta = datetime.timedelta(hours=-1)
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ffnn-test-dask-"))
        self.authority = authority
        self._token = secrets.token_hex(8)
        self._tls: list[str] = []
        if authority is not None:
            certificate, key = authority.issue("server", starts)
            self._tls = ["--tls-ca-file", str(authority.ca), "--tls-cert", str(certificate), "--tls-key", str(key)]
        self.workers: list[Program] = []
        file = self.folder / "scheduler.json"
        process, log = self._start("scheduler", "--port", "0", "--scheduler-file", str(file))
        self._wait(lambda: file.exists() and file.read_text().endswith("}"), process, log)
        self.address = str(json.loads(file.read_text())["address"])
        self.scheduler = Program(process, self.address, log)

    def worker(self, **options: Any) -> Program:
        """Start a worker, and wait until it has found its scheduler."""
        return self.start_workers([options])[0]

    def start_workers(self, each: Sequence[dict[str, Any]]) -> list[Program]:
        """Start several workers at the same time; the options are those of :meth:`_start_worker`."""
        started = [self._start_worker(**options) for options in each]
        programs = []
        for process, log in started:
            self._wait(lambda log=log: "Registered to:" in log.read_text(), process, log)
            address = log.read_text().partition("Start worker at:")[2].split()[0]
            programs.append(Program(process, address, log))
        self.workers += programs
        return programs

    def _start_worker(
        self, *, host: str = "a", threads: int = 1, nanny: bool = False, python: Path | None = None, ffnn: bool = True
    ) -> tuple[subprocess.Popen[bytes], Path]:
        """Start a worker on a host, by a Python, with or without ffnn on its path.

        A nanny is one more process that imports Dask; few tests need it.
        """
        options = ["--nthreads", str(threads), "--nanny" if nanny else "--no-nanny"]
        path = {"PYTHONPATH": str(ROOT) if ffnn else ""}
        return self._start("worker", self.address, *options, host=host, python=python, **path)

    def temporary(self, host: str = "a") -> Path:
        """Return a host's folder for temporary files."""
        folder = self.folder / host
        folder.mkdir(exist_ok=True)
        return folder

    def processes(self, *words: str) -> list[int]:
        """List the processes that run for this cluster, if all of these words are in their command lines."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARK) != self._token or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                if all(word in " ".join(process.cmdline()) for word in words):
                    found.append(process.pid)
        return found

    def children(self) -> list[int]:
        """List the processes that run tasks."""
        return [pid for pid in self.processes("ffnn.parallel.tasks.child") if "supervisor.py" not in _command(pid)]

    def leftovers(self) -> list[Path]:
        """List the folders that runs have left on all hosts."""
        return [path for path in self.folder.glob("*/ffnn-*") if path.is_dir()]

    def dask_worker(self, program: Program) -> int:
        """Return the process id of the Dask worker itself, below its nanny."""
        port = int(program.address.rpartition(":")[2])
        for process in [psutil.Process(program.pid), *psutil.Process(program.pid).children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                if any(c.laddr.port == port and c.status == "LISTEN" for c in process.net_connections("tcp")):
                    return process.pid
        raise LookupError(f"nobody listens at {program.address}")

    def stop(self) -> None:
        """End all of it."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            until = time.monotonic() + 5
            while (pids := self.processes()) and time.monotonic() < until:
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                time.sleep(0.1)
        for program in [self.scheduler, *self.workers]:
            program.process.wait(5)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(
        self, kind: str, *arguments: str, host: str = "a", python: Path | None = None, **variables: str
    ) -> tuple[subprocess.Popen[bytes], Path]:
        log = self.folder / f"{kind}-{secrets.token_hex(3)}.log"
        environment = {
            **os.environ,
            MARK: self._token,
            "TMPDIR": str(self.temporary(host)),
            "PYTHONUNBUFFERED": "1",
            **variables,
        }
        command = [
            str(python or sys.executable),
            "-m",
            f"distributed.cli.dask_{kind}",
            *arguments,
            "--host",
            "127.0.0.1",
        ]
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*command, *self._tls],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=self.folder,
                start_new_session=True,
            )
        return process, log

    @staticmethod
    def _wait(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
        until = time.monotonic() + _START
        while not condition():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.05)


def _command(pid: int) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(psutil.Process(pid).cmdline())
    return ""


def python_with(folder: Path, **versions: str | None) -> Path:
    """Make a Python that has what this one has, but some packages in other versions, as far as pip can see, or not."""
    python = make_python(folder, everything=None, **versions)
    there = next(folder.glob("lib/python*/site-packages"))
    for path in Path(pytest.__file__).parents[1].iterdir():
        name = path.name.partition("-")[0].replace("_", "-")
        changed = name in {name.replace("_", "-") for name in versions} and path.suffix == ".dist-info"
        editable = path.suffix == ".pth" or name.startswith(("ffnn", "__editable__", "-editable"))
        if not changed and not editable and not (there / path.name).exists():
            (there / path.name).symlink_to(path)
    return python


@pytest.fixture(scope="session")
def dask_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs the certificates of the clusters."""
    return Authority(tmp_path_factory.mktemp("dask-ca"))


@pytest.fixture
def dask_cluster(dask_authority: Authority) -> Iterator[MakeCluster]:
    """Make clusters for one test: ``dask_cluster(tls=True)``."""
    clusters: list[Cluster] = []

    def make(*, tls: bool = True, **options: Any) -> Cluster:
        clusters.append(Cluster(dask_authority if tls else None, **options))
        return clusters[-1]

    yield make
    for cluster in clusters:
        cluster.stop()


@pytest.fixture(scope="module")
def two_slots(dask_authority: Authority) -> Iterator[Cluster]:
    """A cluster of two workers of one thread each, on one host, for tests that leave them alive."""
    cluster = Cluster(dask_authority)
    cluster.start_workers([{}, {}])
    yield cluster
    cluster.stop()
