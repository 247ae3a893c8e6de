"""Messages of scikit-learn's callbacks from workers that cannot reach the socket for them.

``ProgressBar`` and ``ScoringMonitor`` in other processes report to the process that called ``fit``, over a Unix socket
in its file system. In a container or on another machine there is no such file. There a worker opens a *relay*, a socket
of its own, whose address it gives to the callback. What arrives at the relay goes over the worker's channel to the
process that submitted the task, which passes it to the real socket before it takes the task's result.
"""

from __future__ import annotations

import collections
import contextlib
import io
import multiprocessing
import os
import pickle
import secrets
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Client, Connection, answer_challenge, deliver_challenge, wait
from typing import Any

import cloudpickle

from ffnn.parallel.tasks.wire import Buffer

__all__ = ["deliver", "dumps", "reduce_address", "relay_to"]

_MOST = 64  # relays of a worker, and connections of the submitting process
_PATIENCE = 10.0  # seconds for a message to be acknowledged
_FAILED = (OSError, EOFError, multiprocessing.AuthenticationError)

_Send = Callable[[Sequence[Buffer]], object]


# --- pickling addresses


def reduce_address(thing: Any) -> tuple[Callable[..., Any], tuple[Any, ...]] | None:
    """Return the reduction of a socket's address in a task for pickle; None for other objects."""
    return (_restore, (type(thing), *thing)) if _is_address(thing) else None


def dumps(thing: Any, buffer_callback: Callable[[pickle.PickleBuffer], object]) -> bytes:
    """Pickle a result by cloudpickle; in place of a relay's address it has that of the real socket."""
    if not _relays:
        return bytes(cloudpickle.dumps(thing, protocol=5, buffer_callback=buffer_callback))
    file = io.BytesIO()
    _ResultPickler(file, protocol=5, buffer_callback=buffer_callback).dump(thing)
    return file.getvalue()


class _ResultPickler(cloudpickle.Pickler):
    def reducer_override(self, thing: Any) -> Any:
        if _is_address(thing):
            for relay in _relays.values():
                if relay.address == thing[0]:
                    return type(thing), relay.target
        return super().reducer_override(thing)


def _is_address(thing: Any) -> bool:
    if not type(thing).__module__.startswith("sklearn."):  # most objects; workers may never import scikit-learn
        return False
    from ffnn._utils._private import is_callback_address

    return is_callback_address(thing)


def _restore(kind: Callable[..., Any], address: str, key: bytes) -> Any:
    """Rebuild the address on a worker; that of a relay, if the socket cannot be reached."""
    if _send is None:
        return kind(address, key)
    try:
        Client(address, authkey=key).close()
    except _FAILED:
        return kind(_relay_for(address, key), key)
    return kind(address, key)


# --- on a worker

_send: _Send | None = None
_relays: collections.OrderedDict[tuple[str, bytes], _Relay] = collections.OrderedDict()


def relay_to(send: _Send) -> None:
    """Set the function that sends a relay's message: the real socket's address, its key, and the message."""
    global _send
    _send = send


def _relay_for(address: str, key: bytes) -> str:
    if (address, key) not in _relays:
        assert _send is not None
        _relays[address, key] = _Relay(address, key, _send)
    _relays.move_to_end((address, key))
    if len(_relays) > _MOST:
        _relays.popitem(last=False)[1].close()
    return _relays[address, key].address


class _Relay:
    """A socket that stands for another one, which this process cannot reach.

    Parameters
    ----------
    address : str
        The address of the other one.
    key : bytes
        Its key, which is the key of this one, too.
    send : callable
        Sends a message to the process that can reach the other one.

    Attributes
    ----------
    target : tuple of str and bytes
        The other socket's address and key.
    address : str
        Its own address.
    """

    def __init__(self, address: str, key: bytes, send: _Send) -> None:
        self.target = address, key
        self._send = send
        name = f"ffnn-{secrets.token_hex(16)}"
        # an address in Linux's abstract namespace has no file, which a killed worker would leave behind
        self.address = f"\0{name}" if sys.platform == "linux" else os.path.join(tempfile.gettempdir(), name)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.address)
        self._socket.listen()
        threading.Thread(target=self._serve, name="ffnn-relay", daemon=True).start()

    def close(self) -> None:
        """End the thread, which closes everything."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        connections: list[Connection] = []
        with self._socket:
            while True:
                for ready in wait([self._socket, *connections]):
                    if isinstance(ready, Connection):
                        if not self._forward(ready):
                            connections.remove(ready)
                            ready.close()
                        continue
                    try:
                        accepted = self._socket.accept()[0]
                    except OSError:  # it was closed
                        for connection in connections:
                            connection.close()
                        return
                    connection = Connection(accepted.detach())
                    if self._let_in(connection):
                        connections.append(connection)
                    else:
                        connection.close()

    def _let_in(self, connection: Connection) -> bool:
        try:
            deliver_challenge(connection, self.target[1])
            answer_challenge(connection, self.target[1])
        except _FAILED:
            return False
        return True

    def _forward(self, connection: Connection) -> bool:
        """Pass on a message, and acknowledge it; return False at the end of the connection."""
        try:
            message = connection.recv_bytes()
            self._send([self.target[0].encode(), self.target[1], message])
            connection.send(None)
        except _FAILED:
            return False
        return True


# --- in the process that submitted the task

_connections: collections.OrderedDict[str, Connection] = collections.OrderedDict()
_lock = threading.Lock()


def deliver(buffers: Sequence[Buffer]) -> None:
    """Deliver a relay's message to the socket that it is for; drop it if its callback is gone."""
    address, key, message = (bytes(buffer) for buffer in buffers)
    name = address.decode()
    with _lock:
        try:
            if name not in _connections:
                _connections[name] = Client(name, authkey=key)
            _connections.move_to_end(name)
            connection = _connections[name]
            connection.send_bytes(message)
            if not connection.poll(_PATIENCE):
                raise EOFError
            connection.recv_bytes()
        except _FAILED:
            gone = _connections.pop(name, None)
            if gone is not None:
                gone.close()
        if len(_connections) > _MOST:
            _connections.popitem(last=False)[1].close()
