"""The executor ``$name``."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from ffnn.parallel.hosts.provisioner import AGENT, Provisioner, spawn
from ffnn.parallel.slots.executor import SlotExecutor


class ThisMachine(Provisioner):
    """The machine of this process; write here how a command is started on yours.

    Parameters
    ----------
    n_workers : int
        The number of workers.
    """

    name = "this-machine"
    python = sys.executable

    def __init__(self, n_workers: int) -> None:
        self.n_workers = n_workers

    def start(self) -> subprocess.Popen[bytes]:
        """Start the agent; elsewhere with ["kubectl", "exec", "-i", pod, "--", "python3", *AGENT], say."""
        return spawn([self.python, *AGENT])


class $cls(SlotExecutor):
    """Runs tasks in worker processes of one machine.

    Parameters
    ----------
    n_workers : int, default=2
        The number of workers.
    **options
        Those of ``SlotExecutor``: time-outs, retries, logs.
    """

    def __init__(self, n_workers: int = 2, **options: Any) -> None:
        super().__init__([ThisMachine(n_workers)], **options)
