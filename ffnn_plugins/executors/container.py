"""The executor ``container``: workers in containers of podman or docker, on this machine or on others."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence

import ffnn
from ffnn.parallel.hosts.local import LocalHost
from ffnn.parallel.hosts.provisioner import Provisioner
from ffnn.parallel.options import check_count, check_seconds
from ffnn.parallel.preflight.check import check_ignore
from ffnn.parallel.slots.executor import SlotExecutor
from ffnn.parallel.tasks.budget import cpu_count
from ffnn_plugins.executors._container import options
from ffnn_plugins.executors._container.host import Container, ContainerHost
from ffnn_plugins.executors._ssh.host import SSHHost

__all__ = ["ContainerExecutor"]


class ContainerExecutor(SlotExecutor):
    """Worker processes in containers: unprivileged, without a network, within limits.

    Parameters
    ----------
    image : str or None, default=None
        The image; None is ``ffnn:`` and this ffnn's version, which the repository's ``Containerfile`` builds. It is
        never pulled: it must be there.
    n_workers : int or None, default=None
        The number of containers on this machine; None is as many as its CPUs and its memory allow.
    cpus : float or None, default=None
        CPUs for each container; None is 1. A worker runs as many threads, rounded up.
    memory : int, str or None, default=None
        Memory for each container, in bytes or as in ``"512m"`` and ``"4g"``; None is 4 GiB. There is no swap.
    pids : int, default=1024
        The most processes and threads in each container.
    required_resources : mapping or None, default=None
        ``{"cpu": 2048, "memory": 4096}``, in 1/1024 of a CPU and in MiB, instead of `cpus` and `memory`.
    fresh : bool, default=False
        Whether each task gets its own container; if not, a container runs task after task.
    engine : str, sequence of str or None, default=None
        The engine's command: ``"docker"``, ``"podman --runtime runc"``; None is podman, or docker if podman is
        missing.
    python : str, default="python3"
        The Python in the image that has ffnn installed.
    mounts : mapping of str to str or None, default=None
        Folders of the host that the containers see: ``{"/data": "/data"}`` read-only, ``{"/results": "/results:rw"}``
        writable (as user 65534).
    environment : mapping of str to str or None, default=None
        Variables for the workers. Their values never appear on a command line.
    arguments : sequence of str, default=()
        Further arguments of the engine's ``run``, after ffnn's own, which they can override.
    hosts : sequence of str or None, default=None
        Hosts to run the containers on, over SSH, as the executor ``ssh`` takes them; None is this machine.
    workers_per_host : int, default=1
        The number of containers on each of `hosts`.
    host_python : str, default="python3"
        A Python on each of `hosts`, 3.8 or later, for the agent; nothing need be installed in it.
    config : path or None, default=None
        The SSH client's configuration file for `hosts`; None is the user's own.
    ignore_versions : sequence of str, default=()
        Packages whose version in the image may differ from that here.
    min_workers : int, default=1
        Fewer workers than this are an error.
    task_timeout : float or None, default=None
        Seconds that a task may run, not counting those in which it imports modules; then its container is ended.
    max_retries : int, default=2
        The number of times that a task is started again after its container died.
    max_tasks_per_child : int or None, default=None
        The number of tasks after which a container is replaced by a fresh one; ``fresh=True`` is 1.
    start_timeout : float, default=120.0
        Seconds that a container may take to start, and to take a task.
    idle_timeout : float, default=300.0
        Seconds without a task after which a container is ended, until there is a task again.
    host_timeout : float, default=30.0
        Seconds without an answer after which a host is considered lost.
    logs : path or None, default=None
        A folder for what workers write to standard error; None keeps it only as long as the executor lives.

    Raises
    ------
    TypeError, ValueError
        If a parameter is invalid; nothing has been started then.
    """

    def __init__(
        self,
        image: str | None = None,
        n_workers: int | None = None,
        *,
        cpus: float | None = None,
        memory: int | str | None = None,
        pids: int = 1024,
        required_resources: Mapping[str, float] | None = None,
        fresh: bool = False,
        engine: str | Sequence[str] | None = None,
        python: str = "python3",
        mounts: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        hosts: Sequence[str] | None = None,
        workers_per_host: int = 1,
        host_python: str = "python3",
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
        cpus, memory = options.check_resources(cpus, memory, required_resources)
        container = Container(
            image=options.check_word("image", f"ffnn:{ffnn.__version__}" if image is None else image),
            cpus=cpus,
            memory=memory,
            pids=check_count("pids", pids, 16),
            python=options.check_word("python", python),
            engine=options.check_engine(engine),
            mounts=options.check_mounts(mounts or {}),
            environment=options.check_environment(environment or {}),
            arguments=options.check_words("arguments", arguments),
            ignore_versions=tuple(check_ignore(ignore_versions, "ignore_versions")),
        )
        inners: list[Provisioner]
        if hosts is None:
            n_workers = _fit(container) if n_workers is None else check_count("n_workers", n_workers, 1)
            inners = [LocalHost(n_workers)]
        else:
            workers_per_host = check_count("workers_per_host", workers_per_host, 1)
            silence = check_seconds("host_timeout", host_timeout)
            inners = [
                SSHHost(host, workers_per_host, python=host_python, config=config, host_timeout=silence)
                for host in options.check_hosts(hosts, n_workers)
            ]
        super().__init__(
            [ContainerHost(inner, container) for inner in inners],
            min_workers=min_workers,
            task_timeout=task_timeout,
            max_retries=max_retries,
            max_tasks_per_child=options.check_fresh(fresh, max_tasks_per_child),
            start_timeout=start_timeout,
            idle_timeout=idle_timeout,
            host_timeout=host_timeout,
            logs=logs,
        )


def _fit(container: Container) -> int:
    """Return the number of containers that fit on this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(cpu_count() // math.ceil(container.cpus), memory // container.memory))
