"""The executor ``ssh``: workers on other machines, reached by SSH alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from ffnn.parallel.options import check_optional_count, check_seconds
from ffnn.parallel.preflight.check import check_ignore
from ffnn.parallel.slots.executor import SlotExecutor
from ffnn_plugins.executors._ssh.host import make_hosts

__all__ = ["SSHExecutor"]


class SSHExecutor(SlotExecutor):
    """Worker processes on other machines, over one SSH connection to each.

    Parameters
    ----------
    hosts : sequence of str
        The hosts: names of your SSH configuration, or addresses, as in ``["alpha", "user@beta:2222", "[::1]:22"]``.
    workers_per_host : int or mapping of str to int, default=1
        The number of workers on each host, or for each host its number: ``{"alpha": 4, "user@beta:2222": 1}``.
    python : str, default="python3"
        The Python on the hosts that has ffnn installed: a name, or a path, in which ``~/`` is the account's home.
    threads_per_worker : int or None, default=None
        The number of threads for BLAS, OpenMP and the engines in each worker; None shares a host's CPUs evenly.
    config : str, path or None, default=None
        The SSH client's configuration file, as for ``ssh -F``; None is your own, ``~/.ssh/config``.
    ignore_versions : sequence of str, default=()
        Packages that may have another version on a host than here; the error that refuses a host lists the names.
    min_workers : int, default=1
        The number of workers below which the pool gives up; while there are more, a host that fails is left out with a
        :class:`~ffnn.exceptions.HostWarning`.
    task_timeout : float or None, default=None
        Seconds that a task may run, not counting those in which it imports modules; then its process is
        ended.
    max_retries : int, default=2
        The number of times that a task is started again after its worker or its host was lost.
    max_tasks_per_child : int or None, default=None
        The number of tasks after which a worker's process is replaced by a fresh one.
    start_timeout : float, default=120.0
        Seconds that a host's agent, or a worker, may take to start, and a worker to take a task.
    idle_timeout : float, default=300.0
        Seconds without a task after which a worker's process is ended, until there is a task again.
    host_timeout : float, default=30.0
        Seconds of silence after which a host is considered lost, and its tasks are started again elsewhere.
    logs : path or None, default=None
        A folder here for what workers write to standard error; None keeps it only as long as the executor lives.

    Raises
    ------
    TypeError, ValueError
        If a parameter is invalid; nothing has been started then.

    Notes
    -----
    There is one SSH connection per host, so no other port need be open, here or there. If a host has several GPUs, each
    worker uses one of them.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        workers_per_host: int | Mapping[str, int] = 1,
        *,
        python: str = "python3",
        threads_per_worker: int | None = None,
        config: str | os.PathLike[str] | None = None,
        ignore_versions: Sequence[str] = (),
        min_workers: int = 1,
        task_timeout: float | None = None,
        max_retries: int = 2,
        max_tasks_per_child: int | None = None,
        start_timeout: float = 120.0,
        idle_timeout: float = 300.0,
        host_timeout: float = 30.0,
        logs: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(
            make_hosts(
                hosts,
                workers_per_host,
                python=python,
                threads_per_worker=check_optional_count("threads_per_worker", threads_per_worker),
                config=config,
                host_timeout=check_seconds("host_timeout", host_timeout),
                ignore_versions=check_ignore(ignore_versions, "ignore_versions"),
            ),
            min_workers=min_workers,
            task_timeout=task_timeout,
            max_retries=max_retries,
            max_tasks_per_child=max_tasks_per_child,
            start_timeout=start_timeout,
            idle_timeout=idle_timeout,
            host_timeout=host_timeout,
            logs=logs,
        )
