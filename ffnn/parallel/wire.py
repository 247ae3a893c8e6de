"""Messages over a pair of pipes: a kind and some buffers, which are never copied together.

A message is a kind (1 byte), the number of buffers, their sizes, and then the buffers themselves.
"""

from __future__ import annotations

import enum
import os
import select
import struct
import time
from collections.abc import Iterable
from typing import TypeAlias

__all__ = ["Buffer", "Channel", "Kind", "Message"]

Buffer: TypeAlias = bytes | bytearray | memoryview
_HEAD = struct.Struct("!BI")
_CHUNK = 1 << 16
_MOST_BUFFERS = 512  # at most IOV_MAX (1024 on Linux) can be written at once


class Kind(enum.IntEnum):
    """What a message says; the parent sends TASK and STOP, the child all others."""

    READY = 1  # the child has started and takes tasks
    TASK = 2
    STOP = 3  # no more tasks
    STARTED = 4  # the child has received a task: from here its death is the task's affair
    PAUSED = 5  # the task imports a module: the clock of its timeout stands still
    RESUMED = 6
    OUTPUT = 7  # what the task printed
    RESULT = 8
    ERROR = 9


Message: TypeAlias = tuple[Kind, list[Buffer]]


class Channel:
    """One end of a conversation.

    Parameters
    ----------
    source, sink : int
        The file descriptors to read from and to write to. If they do not block, a `deadline` can be kept.
    """

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._ahead = bytearray()  # read, not yet asked for

    def send(self, kind: Kind, buffers: Iterable[Buffer] = (), deadline: float | None = None) -> None:
        """Send a message.

        Raises
        ------
        TimeoutError
            If it was not taken by `deadline` (in seconds of ``time.monotonic()``).
        OSError
            If nobody listens any more.
        """
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        head = _HEAD.pack(kind, len(views)) + struct.pack(f"!{len(views)}Q", *(len(view) for view in views))
        todo = [memoryview(head), *(view for view in views if len(view))]
        start = 0
        while start < len(todo):
            try:
                written = os.writev(self._sink, todo[start : start + _MOST_BUFFERS])
            except BlockingIOError:
                _wait(self._sink, select.POLLOUT, deadline)
                continue
            while start < len(todo) and written >= len(todo[start]):
                written -= len(todo[start])
                start += 1
            if written:
                todo[start] = todo[start][written:]

    def receive(self, deadline: float | None = None) -> Message:
        """Wait for a message and return it.

        Raises
        ------
        EOFError
            If the other side is gone.
        TimeoutError
            If it did not arrive by `deadline` (in seconds of ``time.monotonic()``).
        """
        kind, count = _HEAD.unpack(self._take(_HEAD.size, deadline))
        sizes = struct.unpack(f"!{count}Q", self._take(8 * count, deadline))
        return Kind(kind), [self._take(size, deadline) for size in sizes]

    def _take(self, size: int, deadline: float | None) -> bytearray:
        """Read exactly `size` bytes."""
        while size > len(self._ahead) and size <= _CHUNK:
            self._ahead += self._read(_CHUNK, deadline)
        if size <= len(self._ahead):
            taken = self._ahead[:size]
            del self._ahead[:size]
            return taken
        taken = bytearray(size)  # large: read to where it stays
        filled = len(self._ahead)
        taken[:filled] = self._ahead
        self._ahead.clear()
        with memoryview(taken) as view:
            while filled < size:
                try:
                    count = os.readv(self._source, [view[filled:]])
                except BlockingIOError:
                    _wait(self._source, select.POLLIN, deadline)
                    continue
                if not count:
                    raise EOFError
                filled += count
        return taken

    def _read(self, size: int, deadline: float | None) -> bytes:
        while True:
            try:
                data = os.read(self._source, size)
            except BlockingIOError:
                _wait(self._source, select.POLLIN, deadline)
                continue
            if not data:
                raise EOFError
            return data


def _wait(descriptor: int, event: int, deadline: float | None) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    while True:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        if poll.poll(None if left is None else left * 1000 + 1):
            return
