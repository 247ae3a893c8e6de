"""Checks of the options of the executor ``dask``, before anything starts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distributed import Client, Security
from distributed.comm.registry import backends

from ffnn.parallel.options import TaskLimits, check_count, check_optional_count
from ffnn_plugins.executors._dask._private import is_asynchronous

__all__ = ["DaskLimits", "check_address", "check_client", "check_cluster", "check_security"]

_FILES = ("tls_ca_file", "tls_client_cert", "tls_client_key")


@dataclass(frozen=True, kw_only=True)
class DaskLimits(TaskLimits):
    """The limits of a :class:`~ffnn_plugins.executors.dask.DaskExecutor`; checked when made.

    Attributes
    ----------
    n_workers : int or None
        The most tasks that run at the same time; None is as many as the cluster has threads.
    min_workers : int
        The number of threads below which tasks fail.
    threads_per_worker : int or None
        The number of threads for BLAS, OpenMP and the engines in each child process.
    ignore_versions : tuple of str
        The packages that may have another version on the workers.
    """

    n_workers: int | None
    min_workers: int
    threads_per_worker: int | None
    ignore_versions: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "n_workers", check_optional_count("n_workers", self.n_workers))
        object.__setattr__(self, "min_workers", check_count("min_workers", self.min_workers, 1))
        threads = check_optional_count("threads_per_worker", self.threads_per_worker)
        object.__setattr__(self, "threads_per_worker", threads)


def check_address(address: object) -> str:
    """Return a scheduler's address, if it has the form of one.

    Raises
    ------
    TypeError, ValueError
        If it does not.
    """
    example = "Pass what the scheduler prints when it starts, for instance address='tls://10.0.0.5:8786'."
    if not isinstance(address, str):
        raise TypeError(f"address must be a string; got {address!r} of type {type(address).__name__}. {example}")
    scheme, separator, rest = address.partition("://")
    if not separator:
        hint = f"tcp://{address}" if re.fullmatch(r"[\w.-]+:\d+", address) else None
        raise ValueError(
            f"address must begin with tls:// or tcp://; got {address!r}. " + (f"Pass {hint!r}." if hint else example)
        )
    if scheme not in backends:
        raise ValueError(f"address must begin with one of {', '.join(sorted(backends))}; got {address!r}. {example}")
    if scheme in ("tcp", "tls"):
        match = re.fullmatch(r"(\[[0-9a-fA-F:.%\w]+\]|[^\[\]:/\s@]+):(\d+)", rest)
        if match is None or not 0 < int(match[2]) < 65536:
            raise ValueError(
                f"address must be {scheme}://HOST:PORT, with a port of 1 to 65535; got {address!r}. {example}"
            )
    return address


def check_security(security: object, address: str | None) -> Security | None:
    """Return the TLS configuration.

    Parameters
    ----------
    security : object
        The value of the option: None, a :class:`distributed.Security`, or a mapping of its parameters.
    address : str or None
        The scheduler's address.

    Raises
    ------
    TypeError, ValueError
        If it is of another type, a file is missing, or the address does not match it.
    """
    example = "security={'tls_ca_file': 'ca.pem', 'tls_client_cert': 'cert.pem', 'tls_client_key': 'key.pem'}"
    if isinstance(security, Mapping):
        try:
            security = Security(**{"require_encryption": True, **security})
        except TypeError as error:
            raise TypeError(
                f"security has a parameter that distributed.Security does not know: {error}. {example}"
            ) from None
    elif security is not None and not isinstance(security, Security):
        raise TypeError(
            f"security must be a distributed.Security or a mapping of its parameters; got {security!r} of type "
            f"{type(security).__name__}. Pass {example}."
        )
    if address is None:
        return security
    known: Any = security or Security()
    for name in _FILES:
        value = getattr(known, name)
        if isinstance(value, str) and "-----BEGIN" not in value and not os.path.isfile(value):
            raise ValueError(f"security: {name} must be a file; there is no {value!r}. Check the path.")
    if address.startswith("tls:") and not (known.tls_ca_file and known.tls_client_cert):
        raise ValueError(
            f"address {address!r} speaks TLS, which needs security: the cluster's CA and a certificate. {example}"
        )
    if not address.startswith(("tls:", "wss:")) and security is not None and security.require_encryption:
        raise ValueError(
            f"address {address!r} is not encrypted, but security requires it. Pass the scheduler's address with tls://."
        )
    return security


def check_client(client: object) -> Client:
    """Return the user's client, if it can be used.

    Raises
    ------
    TypeError, ValueError
        If it cannot be used.
    """
    if not isinstance(client, Client):
        raise TypeError(
            f"client must be a distributed.Client; got {client!r} of type {type(client).__name__}. "
            f"Pass Client(...), or the cluster as cluster=..."
        )
    if client.status != "running":
        raise ValueError(f"client must be connected; it is {client.status}. Make another with Client(...).")
    if is_asynchronous(client):
        raise ValueError("client must not be asynchronous, because a search blocks its event loop. Pass address=...")
    return client


def check_cluster(cluster: object) -> Any:
    """Return the user's cluster, if it can be used.

    Raises
    ------
    TypeError, ValueError
        If it cannot be used.
    """
    if not isinstance(getattr(cluster, "scheduler_address", None), str):
        raise TypeError(
            f"cluster must be a Dask cluster, like LocalCluster or SLURMCluster; got {cluster!r} of type "
            f"{type(cluster).__name__}. Pass an object with a scheduler_address, or address='tls://...'."
        )
    status = getattr(getattr(cluster, "status", None), "name", "running")
    if status != "running":
        raise ValueError(f"cluster must be running; it is {status}. Make another.")
    if getattr(cluster, "asynchronous", False):
        raise ValueError("cluster must not be asynchronous, because a search blocks its event loop. Pass address=...")
    return cluster
