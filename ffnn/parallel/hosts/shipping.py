"""The client's view of an agent's store: data is sent once per host, and dropped when the store grows too large."""

from __future__ import annotations

import collections
import contextlib
import json
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol

from ffnn.exceptions import ExecutorError
from ffnn.parallel.agent import folder, frames
from ffnn.parallel.tasks.store import Blob

__all__ = ["DataChangedError", "Shipping", "ShippingError"]

_MOST = 8 << 30  # bytes of data that a store may hold


class ShippingError(Exception):
    """The store could not take some data."""


class DataChangedError(ExecutorError):
    """The data of a task changed before all of it was sent."""


class _Link(Protocol):
    def open_put(self, on_answer: Callable[[str | None], None]) -> int: ...
    def say(self, kind: int, channel: int, payload: bytes = b"") -> None: ...
    def send_data(self, channel: int, buffers: Sequence[memoryview]) -> None: ...


class Shipping:
    """The store at the other end of a connection.

    Parameters
    ----------
    line : Connection
        The connection.
    """

    def __init__(self, line: _Link) -> None:
        self._line = line
        self._changed = threading.Condition()
        self._stored: collections.OrderedDict[str, int] = collections.OrderedDict()  # least recently used first
        self._in_transit: set[str] = set()
        self._in_use: collections.Counter[str] = collections.Counter()

    @contextlib.contextmanager
    def having(self, blobs: Sequence[Blob]) -> Iterator[None]:
        """Keep some data in the store during the context; missing data is sent first.

        Raises
        ------
        ShippingError
            If data cannot be stored, or the connection is lost.
        DataChangedError
            If the bytes no longer match a blob's name.
        """
        names = [blob.name for blob in blobs]
        with self._changed:
            self._in_use.update(names)
        try:
            for blob in blobs:
                self._ensure(blob)
            yield
        finally:
            with self._changed:
                self._in_use.subtract(names)
                self._drop_unused()

    def forget(self, names: Collection[str]) -> None:
        """Note that some data is no longer in the store: it is sent again when it is needed."""
        with self._changed:
            for name in names:
                self._stored.pop(name, None)

    def _ensure(self, blob: Blob) -> None:
        with self._changed:
            # another thread may be sending it; if that fails, this one sends it
            self._changed.wait_for(lambda: blob.name not in self._in_transit)
            if blob.name in self._stored:
                self._stored.move_to_end(blob.name)
                return
            self._in_transit.add(blob.name)
        answer: list[str | None] = []

        def on_answer(error: str | None) -> None:
            with self._changed:
                answer.append(error)
                self._in_transit.discard(blob.name)
                if error is None:
                    self._stored[blob.name] = blob.size
                self._changed.notify_all()

        channel = self._line.open_put(on_answer)
        self._line.say(frames.PUT, channel, json.dumps({"name": blob.name, "size": blob.size}).encode())
        self._line.send_data(channel, [blob.data])
        with self._changed:
            self._changed.wait_for(lambda: answer)
        if answer[0] == folder.CHANGED:
            raise DataChangedError(
                f"{blob.size / 1e6:.1f} MB of a task's data changed while they were sent, so the task was not run. "
                f"Change the arguments of a task only after it is done, or pass a copy."
            )
        if answer[0] is not None:
            raise ShippingError(f"{blob.size / 1e6:.1f} MB of data could not be stored: {answer[0]}")

    def _drop_unused(self) -> None:
        too_much = sum(self._stored.values()) - _MOST
        for name, size in list(self._stored.items()):
            if too_much <= 0:
                return
            if self._in_use[name] <= 0:
                del self._stored[name], self._in_use[name]
                self._line.say(frames.DROP, 0, name.encode())
                too_much -= size
