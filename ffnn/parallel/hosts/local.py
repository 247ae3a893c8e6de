"""The local machine as a host."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from ffnn.exceptions import HostError
from ffnn.parallel.hosts.provisioner import AGENT, Command, Facts, Provisioner, spawn

__all__ = ["LocalHost"]

# the child sees the modules that its parent sees, and runs no `__main__`
_BOOT = "import sys; sys.path[:] = {path!r}; from ffnn.parallel.tasks.child import main; main()"


class LocalHost(Provisioner):
    """The machine of this process, with the Python, the modules and the environment of this process.

    Parameters
    ----------
    n_workers : int
        The number of workers.
    n_threads : int or None, default=None
        The number of threads of each; None shares the CPUs evenly, and leaves variables like ``OMP_NUM_THREADS``
        alone where they are set.
    """

    name = "localhost"
    lease: float | None = None  # the end of a pipe is always noticed, however busy the client is
    inherited_environment: Mapping[str, str] | None = os.environ

    def __init__(self, n_workers: int, n_threads: int | None = None) -> None:
        self.n_workers = n_workers
        self.n_threads = n_threads

    def start(self) -> subprocess.Popen[bytes]:
        """Start an agent."""
        return spawn([sys.executable, *AGENT])

    def check(self, host: object) -> None:
        """Do nothing: the workers run the same Python and modules as this process."""

    def command(self, slot: int, start: str, facts: Facts) -> Command:
        """Return the command that runs a worker with this process's Python, modules and environment."""
        path = [entry or os.getcwd() for entry in sys.path]
        environment = {**os.environ, **self.worker_environment(slot, facts)}
        argv = [sys.executable, "-c", _BOOT.format(path=path), f"ffnn-worker-{slot}"]
        return Command(argv, environment, inherit=False)

    def worker_environment(self, slot: int, facts: Facts, n_threads: int | None = None) -> dict[str, str]:
        """Return the variables that every worker needs, with the number of threads that the user asked for."""
        return super().worker_environment(slot, facts, self.n_threads if n_threads is None else n_threads)

    def explain(self, exit_code: int | None, stderr: str) -> HostError:
        """Turn the failure of the agent to start into an error with the last lines of its output."""
        how = "did not answer" if exit_code is None else f"ended with exit code {exit_code}"
        return HostError(
            f"this machine: the agent {how} before it was ready "
            f"({sys.executable}); its last words:\n{stderr or '(none)'}",
            self.name,
        )
