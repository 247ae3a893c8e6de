"""Connects to a Dask scheduler; the address is probed first, so that errors name the cause."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from typing import Any

from distributed import Client, Security

from ffnn.exceptions import HostError

__all__ = ["close_quietly", "connect", "take_note"]

_PATIENCE = 5.0  # seconds for each step of a connection
_DATES = (9, 10)  # OpenSSL: not valid yet, no longer valid
_HELLO = 8.0  # seconds for the greeting that a scheduler sends first


def connect(where: Any, security: Security | None) -> Client:
    """Connect to a scheduler, within seconds.

    Parameters
    ----------
    where : str or cluster
        Its address, or the cluster whose scheduler it is.

    Raises
    ------
    HostError
        If nothing answers there, it is not a Dask scheduler, or one side refuses the other.
    """
    address = where if isinstance(where, str) else str(where.scheduler_address)
    if address.startswith(("tcp:", "tls:")):
        effective = security or getattr(where, "security", None)
        _probe(address, effective if isinstance(effective, Security) else Security())
    try:
        return Client(where, security=security, timeout=2 * _PATIENCE, set_as_default=False, name="ffnn")
    except (OSError, ImportError, ValueError, TypeError) as error:
        raise _refused(address, f"it did not let a Dask client in: {_line(error)}") from error


def close_quietly(client: Client) -> None:
    """Close a client whose scheduler is gone, without another message in the log."""
    log = logging.getLogger("distributed.client")
    log.addFilter(_suppress)
    try:
        client.close(1.0)
    finally:
        log.removeFilter(_suppress)


def take_note(ended: asyncio.Future[Any]) -> None:
    """Retrieve the exception of a future that is no longer awaited, as asyncio logs unretrieved exceptions."""
    if not ended.cancelled():
        ended.exception()


def _suppress(record: logging.LogRecord) -> bool:
    return False


def _probe(address: str, security: Security) -> None:
    """Probe the address, to find out whether a Dask scheduler listens there."""
    host, _, port = address.partition("://")[2].rpartition(":")
    try:
        plain = socket.create_connection((host.strip("[]"), int(port)), _PATIENCE)
    except OSError as error:
        raise HostError(
            f"nobody listens at {address}: {_line(error)}. Check the address, that the scheduler runs, and that no "
            f"firewall is in between.",
            address,
        ) from None
    with plain:
        plain.settimeout(_HELLO)
        if address.startswith("tls:"):
            context = security.get_connection_args("client")["ssl_context"]
            with _handshake(address, context, plain) as secure:
                _listen(address, secure)
        else:
            _listen(address, plain)


def _handshake(address: str, context: ssl.SSLContext, plain: socket.socket) -> ssl.SSLSocket:
    try:
        return context.wrap_socket(plain)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in _DATES:
            raise _refused(
                address,
                f"its certificate cannot be used today: {error.verify_message}. Compare the clocks (here it is "
                f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC), or give the cluster a new one",
            ) from None
        raise _refused(
            address,
            f"its certificate is not one of the CA in tls_ca_file ({error.verify_message}). Either this is another "
            f"cluster (or a man in the middle), or tls_ca_file is another cluster's",
        ) from None
    except TimeoutError:
        raise _refused(address, "it does not speak TLS, and says nothing; is it another service's port?") from None
    except (ssl.SSLError, OSError) as error:
        raise _refused(
            address,
            f"it does not speak TLS ({_line(error)}). If it is a Dask scheduler without TLS, whoever reaches its port "
            f"can run code there and here; start it with certificates, or write tcp:// to accept that",
        ) from None


def _listen(address: str, connection: socket.socket) -> None:
    """Wait for the greeting, which a scheduler sends first and a web server does not."""
    try:
        said = connection.recv(64)
    except TimeoutError:
        what = "it waits to be spoken to, as a web server does"
        if address.startswith("tcp:"):
            what += ", or a scheduler that speaks TLS; if it is one, write tls:// and pass security=..."
        raise _refused(address, f"it is no Dask scheduler: {what}") from None
    except ssl.SSLError as error:
        raise _refused(
            address,
            f"it refuses the certificate in tls_client_cert ({error.reason or error}). Pass one that the cluster's "
            f"CA has signed",
        ) from None
    except OSError as error:
        raise _refused(address, f"it hung up ({_line(error)})") from None
    if not said:
        raise _refused(address, "it hung up at once. If it speaks TLS, write tls:// and pass security=...")
    # a frame starts with its size in 8 little-endian bytes, with zeros that text does not have
    if len(said) >= 8 and int.from_bytes(said[:8], "little") > 1 << 32:
        raise _refused(address, f"it is no Dask scheduler; its first words are {said!r}")


def _refused(address: str, why: str) -> HostError:
    return HostError(f"{address} cannot be used: {why}.", address)


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
