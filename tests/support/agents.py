"""Agents on this machine, for tests: over a connection of ours, or spoken to by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ffnn.parallel.agent import frames, supervisor
from ffnn.parallel.hosts.bootstrap import agent_program
from ffnn.parallel.hosts.connection import Connection
from ffnn.parallel.hosts.host import Host
from ffnn.parallel.hosts.provisioner import AGENT, Provisioner, spawn
from ffnn.testing._tasks import gone

__all__ = ["Plain", "RawAgent", "connect", "raw_agent", "wait_until", "wait_until_gone"]

Connect = Callable[..., Connection]
MakeRaw = Callable[..., "RawAgent"]


def wait_until(condition: Callable[[], Any], what: str, within: float = 20.0) -> float:
    """Wait until something is so, and return how long that took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < within, f"not so after {within:g} seconds: {what}"
        time.sleep(0.01)
    return time.monotonic() - start


def wait_until_gone(*pids: int, within: float = 20.0) -> float:
    """Wait until processes have ended, and return how long that took."""
    return wait_until(lambda: all(map(gone, pids)), f"{pids} have ended", within)


class Plain(Provisioner):
    """A host that is this machine, which knows nothing of that; it is reached by way of another command, if any.

    Parameters
    ----------
    name : str
        What to call it.
    n_workers : int
        The number of workers.
    wrapper : sequence of str
        The command that runs an agent's; its only words if `replace` is true.
    folder : Path or None
        Where its agents keep their files.
    """

    python = sys.executable

    def __init__(
        self,
        name: str = "plain",
        n_workers: int = 1,
        wrapper: Sequence[str] = (),
        *,
        folder: Path | None = None,
        replace: bool = False,
        lease: float | None = 120.0,
    ) -> None:
        self.name = name
        self.n_workers = n_workers
        self.wrapper = list(wrapper)
        self.replace = replace
        self.lease = lease
        self.folder = folder
        self.agents: list[subprocess.Popen[bytes]] = []
        self.broken: Container[int] = ()  # the numbers of the starts that fail, from 0

    def start(self) -> subprocess.Popen[bytes]:
        """Start an agent."""
        if len(self.agents) in self.broken:
            self.agents.append(spawn(["sh", "-c", "echo out of order >&2; exit 9"]))
            return self.agents[-1]
        environment = {**os.environ, **({} if self.folder is None else {"TMPDIR": str(self.folder)})}
        argv = self.wrapper if self.replace else [*self.wrapper, sys.executable, *AGENT]
        self.agents.append(spawn(argv, env=environment))
        return self.agents[-1]

    def check(self, host: Host) -> None:
        """Do nothing: it takes time, and the versions are ours."""


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connect to a new agent: ``connect(provisioner, silence=30)``; closed after the test."""
    made: list[tuple[Connection, Provisioner]] = []

    def connect(where: Provisioner | None = None, *, silence: float = 30.0, wait: bool = True) -> Connection:
        where = where or Plain()
        connection = Connection(where.start(), silence, where.lease)
        made.append((connection, where))
        if wait:
            connection.wait_for_facts(30)
        return connection

    yield connect
    for connection, where in made:
        connection.close(where.stop)


class RawAgent:
    """An agent that is spoken to frame by frame, by a client that does nothing by itself."""

    def __init__(self, folder: Path, python: str = sys.executable, lease: float | None = None) -> None:
        self.process = spawn([python, *AGENT], env={**os.environ, "TMPDIR": str(folder)})
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.stdin.write(agent_program())
        config = {"lease": lease, "supervisor": Path(supervisor.__file__).read_text()}
        self.say(frames.CONFIG, 0, json.dumps(config).encode())
        assert self._read(len(frames.MAGIC)) == frames.MAGIC
        kind, _, facts = self.hear()
        assert kind == frames.HELLO
        self.facts: dict[str, Any] = json.loads(facts)

    @property
    def pid(self) -> int:
        return self.process.pid

    def say(self, kind: int, channel: int, payload: bytes = b"") -> None:
        self.stdin.write(frames.HEAD.pack(kind, channel, len(payload)) + payload)

    def hear(self) -> tuple[int, int, bytes]:
        """Wait for a frame; its kind is 0 at the end."""
        head = self._read(frames.HEAD.size)
        if not head:
            return 0, 0, b""
        kind, channel, size = frames.HEAD.unpack(head)
        return kind, channel, self._read(size)

    def run(self, channel: int, *argv: str, supervised: bool = True, after: Sequence[str] = ()) -> None:
        """Start a command."""
        order = {"argv": argv, "environment": {}, "inherit": True, "after": after, "supervised": supervised}
        self.say(frames.START, channel, json.dumps(order).encode())

    def family(self, channel: int, **options: Any) -> list[int]:
        """Start a command that has started others, out of its session and its group; return their process ids."""
        self.run(channel, sys.executable, "-c", FAMILY, **options)
        kind, _, line = self.hear()
        assert kind == frames.DATA, line
        return [int(pid) for pid in line.split()]

    def close(self) -> None:
        self.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.stdout.close()
            assert self.process.stderr is not None
            self.process.stderr.close()

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (piece := self.stdout.read(size - len(data))):
            data += piece
        return data


FAMILY = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
a = subprocess.Popen(["sleep", "300"])
b = subprocess.Popen(["setsid", "sh", "-c", "sleep 300 & echo $!; exit"], stdout=subprocess.PIPE)
os.write(1, f"{os.getpid()} {os.getppid()} {a.pid} {int(b.stdout.readline())}".encode())
time.sleep(300)
"""


@pytest.fixture
def raw_agent(tmp_path: Path) -> Iterator[MakeRaw]:
    """Start an agent with ``raw_agent(lease=...)``; ended after the test."""
    made: list[RawAgent] = []

    def make(**options: Any) -> RawAgent:
        made.append(RawAgent(**{"folder": tmp_path, **options}))
        return made[-1]

    yield make
    for agent in made:
        if agent.process.poll() is None:
            agent.process.kill()
            agent.process.wait()
