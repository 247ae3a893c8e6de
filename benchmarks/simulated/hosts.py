"""Hosts of an executor whose workers only pretend; see :mod:`agent`."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from ffnn.parallel.hosts.provisioner import Command, Facts, Provisioner, spawn
from ffnn.parallel.slots.executor import SlotExecutor

N_HOSTS = 20


class SimulatedHost(Provisioner):
    """A host whose workers only pretend.

    Parameters
    ----------
    name : str
        Its name.
    n_workers : int
        The number of its workers.
    seconds : float
        The length of a task.
    gate : threading.Event
        It is not there before that is set.
    """

    def __init__(self, name: str, n_workers: int, seconds: float, gate: threading.Event) -> None:
        self.name, self.n_workers = name, n_workers
        self._seconds = seconds
        self._gate = gate

    def start(self) -> subprocess.Popen[bytes]:
        """Start the simulation."""
        self._gate.wait()
        return spawn([sys.executable, str(Path(__file__).parent / "agent.py"), str(self._seconds)])

    def check(self, host: object) -> None:
        """Do nothing: nothing runs there."""

    def command(self, slot: int, start: str, facts: Facts) -> Command:
        """Name what is not started."""
        return Command(["simulated"])


def make_executor(n_workers: int, seconds: float, gate: threading.Event) -> SlotExecutor:
    """Make an executor of simulated hosts."""
    n_hosts = min(N_HOSTS, n_workers)
    shares = [(n_workers + index) // n_hosts for index in range(n_hosts)]
    return SlotExecutor([SimulatedHost(f"host-{index}", n, seconds, gate) for index, n in enumerate(shares)])
