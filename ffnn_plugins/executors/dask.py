"""The executor ``dask``: an existing Dask cluster, wherever it runs."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any

from ffnn.exceptions import ExecutorError
from ffnn.executor import Executor, Future, Task
from ffnn.parallel.preflight.compare import check_ignore

try:
    from ffnn_plugins.executors._dask import options
    from ffnn_plugins.executors._dask.connect import connect
    from ffnn_plugins.executors._dask.run import Run
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("dask", "distributed"):
        raise
    raise ModuleNotFoundError(
        f"the executor 'dask' needs distributed, which is not installed: pip install 'ffnn[dask]' ({error})",
        name=error.name,
    ) from None

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed import Client, Security

__all__ = ["DaskExecutor"]


class DaskExecutor(Executor):
    """The workers of an existing Dask cluster: a ``LocalCluster``, Kubernetes, Slurm, a cloud's.

    Each thread of a Dask worker runs one task at a time in a child process that stays warm between tasks, so that
    a task cannot harm the Dask worker. ffnn must be installed there, in the same versions as here.

    Parameters
    ----------
    address : str or None, default=None
        The scheduler's address, for instance ``"tls://10.0.0.5:8786"``. Exactly one of `address`, `client` and
        `cluster` is given.
    client : distributed.Client or None, default=None
        A client, which stays the caller's to close.
    cluster : object or None, default=None
        A cluster object of Dask's, like ``LocalCluster`` or ``SLURMCluster``, which stays the caller's to close.
    security : distributed.Security, mapping or None, default=None
        The TLS configuration, or a mapping of the parameters of ``distributed.Security``: ``tls_ca_file``,
        ``tls_client_cert``, ``tls_client_key``. None uses Dask's own configuration, or the cluster's.
    n_workers : int or None, default=None
        The most tasks that run at the same time, to leave part of the cluster to others; None is as many as the
        cluster has threads at the time.
    min_workers : int, default=1
        The number of Dask threads below which tasks fail.
    threads_per_worker : int or None, default=None
        The number of threads for BLAS, OpenMP and the engines in each child; None shares a host's CPUs evenly
        among the threads of the Dask workers on it.
    task_timeout : float or None, default=None
        Seconds that a task may run, not counting those in which it imports modules; then its process is
        ended.
    max_retries : int, default=2
        The number of times that a task is started again after its process died or it was removed from the cluster.
    max_tasks_per_child : int or None, default=None
        The number of tasks after which a process is replaced by a fresh one.
    start_timeout : float, default=120.0
        Seconds to wait for `min_workers`, at the start and when workers were lost; also those that a process may
        take to start.
    ignore_versions : collection of str, default=()
        The packages that may have another version on the workers, for instance ``["scipy"]``.

    Raises
    ------
    TypeError, ValueError
        If a parameter is invalid; nothing has been started then.

    Notes
    -----
    Dask itself restarts a task whose Dask worker died, up to the scheduler's ``allowed-failures``; `n_retries` does
    not count that.
    """

    has_events = True

    def __init__(
        self,
        address: str | None = None,
        *,
        client: Client | None = None,
        cluster: Any = None,
        security: Security | Mapping[str, Any] | None = None,
        n_workers: int | None = None,
        min_workers: int = 1,
        threads_per_worker: int | None = None,
        task_timeout: float | None = None,
        max_retries: int = 2,
        max_tasks_per_child: int | None = None,
        start_timeout: float = 120.0,
        ignore_versions: Any = (),
    ) -> None:
        self._limits = options.DaskLimits(
            n_workers=n_workers,
            min_workers=min_workers,
            threads_per_worker=threads_per_worker,
            task_timeout=task_timeout,
            max_retries=max_retries,
            max_tasks_per_child=max_tasks_per_child,
            start_timeout=start_timeout,
            ignore_versions=check_ignore(ignore_versions),
        )
        given = [
            name
            for name, value in (("address", address), ("client", client), ("cluster", cluster))
            if value is not None
        ]
        if len(given) != 1:
            raise TypeError(
                f"exactly one of address, client and cluster must be given; got {' and '.join(given) or 'none'}. "
                f"Pass address='tls://...' for a scheduler that runs somewhere."
            )
        if client is not None and security is not None:
            raise TypeError("security must be left out with client, which is connected already.")
        self._address = None if address is None else options.check_address(address)
        self._client = None if client is None else options.check_client(client)
        self._cluster = None if cluster is None else options.check_cluster(cluster)
        self._security = options.check_security(security, self._address)
        self._connecting = threading.Lock()
        self._run: Run | None = None
        self._error: ExecutorError | None = None
        self._shares = False

    @property
    def n_workers(self) -> int:
        """The number of tasks that can run at the same time, as of now; 1 if the cluster cannot be reached."""
        try:
            return self._connect().n_workers
        except ExecutorError:  # each task reports it
            return 1

    @property
    def n_retries(self) -> int:
        """The number of times that a task was started again because it was lost."""
        return 0 if self._run is None else self._run.n_retries

    @property
    def bytes_sent(self) -> int:
        """The number of bytes of tasks and their data that were sent."""
        return 0 if self._run is None else self._run.bytes_sent

    @property
    def dashboard_link(self) -> str | None:
        """The address of Dask's dashboard; None before the first task."""
        return None if self._run is None else str(self._run.client.dashboard_link)

    def share(self) -> None:
        """Share fitted transformers among the workers of each host; called before the first task."""
        self._shares = True

    def prepare(self) -> None:
        """Connect, and wait for workers that have the same versions as this process.

        Raises
        ------
        HostError
            If that fails; the message names the reason and the remedy. The executor is shut down then.
        """
        self._claim()
        try:
            self._connect().prepare()
        except BaseException:
            self.shutdown(cancel_futures=True)
            raise

    def _start(self, task: Task, future: Future[Any]) -> None:
        try:
            run = self._connect()
        except Exception as error:
            future.fail(error)
        else:
            run.submit(task, future)

    def _stop(self, wait: bool) -> None:
        if self._run is not None:
            self._run.stop(wait)

    def _connect(self) -> Run:
        """Return the run, connected at the first call; later calls raise the first error again."""
        with self._connecting:
            if self._error is not None:
                raise self._error
            if self._run is None:
                self._claim()
                try:
                    self._run = self._begin()
                except ExecutorError as error:
                    self._error = error
                    raise
                # end everything when the executor is garbage-collected
                weakref.finalize(self, self._run.abandon)
            return self._run

    def _begin(self) -> Run:
        client = self._client or connect(self._address or self._cluster, self._security)
        try:
            return Run(client, client is not self._client, self._limits, self._shares)
        except BaseException:
            if client is not self._client:
                client.close()
            raise
