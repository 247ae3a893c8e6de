"""What an agent's store has: data that is sent once, whoever needs it, and forgotten when there is too much."""

from __future__ import annotations

import collections
import contextlib
import json
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol

from ffnn.parallel.agent import frames
from ffnn.parallel.tasks.store import Blob

__all__ = ["Shipping", "ShippingError"]

_MOST = 8 << 30  # bytes of data that may lie in a store without being in use


class ShippingError(Exception):
    """The store could not take some data."""


class _Line(Protocol):
    def open_put(self, then: Callable[[str | None], None]) -> int: ...
    def say(self, kind: int, channel: int, payload: bytes = b"") -> None: ...
    def pour(self, channel: int, buffers: Sequence[memoryview]) -> None: ...


class Shipping:
    """The store at the other end of a connection.

    Parameters
    ----------
    line : Connection
        The connection.
    """

    def __init__(self, line: _Line) -> None:
        self._line = line
        self._changed = threading.Condition()
        self._there: collections.OrderedDict[str, int] = collections.OrderedDict()  # least recently used first
        self._on_the_way: set[str] = set()
        self._in_use: collections.Counter[str] = collections.Counter()

    @contextlib.contextmanager
    def having(self, blobs: Sequence[Blob]) -> Iterator[None]:
        """Have these in the store as long as the context lasts; send what is not there yet.

        Raises
        ------
        ShippingError
            If one cannot be stored, or the connection is lost.
        """
        names = [blob.name for blob in blobs]
        with self._changed:
            self._in_use.update(names)
        try:
            for blob in blobs:
                self._have(blob)
            yield
        finally:
            with self._changed:
                self._in_use.subtract(names)
                self._make_room()

    def forget(self, names: Collection[str]) -> None:
        """Send these again when they are needed next: they are not in the store any more."""
        with self._changed:
            for name in names:
                self._there.pop(name, None)

    def _have(self, blob: Blob) -> None:
        with self._changed:
            # another may be sending it; if that fails, it is sent from here
            self._changed.wait_for(lambda: blob.name not in self._on_the_way)
            if blob.name in self._there:
                self._there.move_to_end(blob.name)
                return
            self._on_the_way.add(blob.name)
        answer: list[str | None] = []

        def then(error: str | None) -> None:
            with self._changed:
                answer.append(error)
                self._on_the_way.discard(blob.name)
                if error is None:
                    self._there[blob.name] = blob.size
                self._changed.notify_all()

        channel = self._line.open_put(then)
        self._line.say(frames.PUT, channel, json.dumps({"name": blob.name, "size": blob.size}).encode())
        self._line.pour(channel, [blob.data])
        with self._changed:
            self._changed.wait_for(lambda: answer)
        if answer[0] is not None:
            raise ShippingError(f"{blob.size / 1e6:.1f} MB of data could not be stored: {answer[0]}")

    def _make_room(self) -> None:
        too_much = sum(self._there.values()) - _MOST
        for name, size in list(self._there.items()):
            if too_much <= 0:
                return
            if self._in_use[name] <= 0:
                del self._there[name], self._in_use[name]
                self._line.say(frames.DROP, 0, name.encode())
                too_much -= size
