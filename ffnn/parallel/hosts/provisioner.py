"""Provisioners: the hosts of an executor, how they are reached, and how workers are started there.

A provisioner starts an *agent* (:mod:`ffnn.parallel.agent`) on its host, and defines the command that starts a worker
there. Everything else is the same for all of them: packing tasks, sending data once per host, the
comparison of versions, the lease, back-off, retries, logs.

The smallest one runs workers in a pod of Kubernetes, by its command line::

    class Pod(Provisioner):
        def __init__(self, name, n_workers):
            self.name, self.n_workers = name, n_workers

        def start(self):
            return spawn(["kubectl", "exec", "-i", self.name, "--", "python3", *AGENT])
"""

from __future__ import annotations

import abc
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from ffnn.exceptions import HostError
from ffnn.parallel.hosts.bootstrap import AGENT
from ffnn.parallel.hosts.command import Command, Facts
from ffnn.parallel.hosts.remote import ConnectedHost
from ffnn.parallel.preflight.check import check_versions
from ffnn.parallel.sharing.pipelines import FOLDER_VARIABLE
from ffnn.parallel.tasks.budget import gpu_variables, thread_variables

__all__ = ["AGENT", "Command", "ConnectedHost", "Facts", "Provisioner", "spawn"]


class Provisioner(abc.ABC):
    """One host of an executor.

    Attributes
    ----------
    name : str
        The name of the host in messages; unique in its executor.
    n_workers : int
        The number of workers there.
    python : str
        The Python there that has ffnn installed.
    lease : float or None
        Seconds of silence after which the agent assumes that this process is gone, and ends everything; None if the
        end of its input always reaches it.
    inherited_environment : mapping of str to str or None
        An environment whose own thread variables (``OMP_NUM_THREADS``) workers keep, unless a number of threads was
        asked for; None if there is none.
    shares : bool
        Whether its workers share what they compute.
    """

    name: str
    n_workers: int
    python: str = "python3"
    lease: float | None = 120.0
    inherited_environment: Mapping[str, str] | None = None
    shares: bool = False

    @abc.abstractmethod
    def start(self) -> subprocess.Popen[bytes]:
        """Start an agent on the host and return the process whose standard streams are the agent's; do not wait.

        Raises
        ------
        OSError, HostError
            If the process cannot be started.
        """

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End the process that :meth:`start` returned, if closing its standard input did not."""
        process.kill()

    def logs(self, stderr: str) -> str:
        """Return the last lines of the connection for messages, by default of its standard error."""
        return stderr

    def explain(self, exit_code: int | None, stderr: str) -> HostError:
        """Turn the failure of an agent to start into an error with its remedy."""
        how = "did not answer" if exit_code is None else f"ended with exit code {exit_code}"
        return HostError(
            f"host {self.name}: the agent {how} before it was ready; its last words:\n{self.logs(stderr) or '(none)'}",
            self.name,
        )

    def check(self, host: ConnectedHost) -> None:
        """Check, once an agent runs, that workers can run: versions, resources, images.

        Raises
        ------
        HostError
            If they cannot; no worker is started then, and the host is not tried again.
        """
        check_versions(host, [self.python])

    def command(self, slot: int, start: str, facts: Facts) -> Command:
        """Return the command that starts the worker of a slot.

        Parameters
        ----------
        slot : int
            The number of the slot on this host, from 0.
        start : str
            A name that is unique for each start of a worker, of letters, digits and dashes.
        facts : Facts
            The properties of the host.
        """
        return Command([self.python, "-m", "ffnn.parallel.tasks.child"], self.worker_environment(slot, facts))

    def worker_environment(self, slot: int, facts: Facts, n_threads: int | None = None) -> dict[str, str]:
        """Return the variables that every worker needs: its store, its share of the CPUs, its GPU."""
        share = max(1, facts.cpus // self.n_workers) if n_threads is None else n_threads
        inherited = self.inherited_environment
        explicit = n_threads is not None or inherited is None
        return {
            "FFNN_STORE": facts.store,
            **({FOLDER_VARIABLE: facts.shared} if self.shares else {}),
            **thread_variables(share, inherited or {}, explicit=explicit),
            **gpu_variables(slot, list(facts.gpus)),
        }


def spawn(argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a local command whose standard streams are pipes, shielded from the terminal's Ctrl-C."""
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
        **options,
    )
