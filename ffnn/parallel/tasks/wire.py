"""Messages between a client and a worker: a kind and some buffers, which are not concatenated.

A message is a kind (1 byte), the number of buffers, their sizes, and then the buffers themselves.
"""

from __future__ import annotations

import abc
import enum
import os
import select
import struct
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from ffnn.parallel.agent.frames import Reader

__all__ = ["Buffer", "Channel", "Kind", "Message", "PipeChannel", "head_of"]

Buffer: TypeAlias = bytes | bytearray | memoryview
_HEAD = struct.Struct("!BI")
_CHUNK = 1 << 20
_MOST_BUFFERS = 512  # at most IOV_MAX (1024 on Linux) can be written at once


class Kind(enum.IntEnum):
    """The kinds of messages; the parent sends TASK, STOP and ANSWER, the child all others."""

    READY = 1  # the child has started and takes tasks
    TASK = 2
    STOP = 3  # no more tasks
    STARTED = 4  # the child has received a task, which may be the cause of its death from now on
    PAUSED = 5  # the task imports a module: the clock of its timeout is paused
    RESUMED = 6
    OUTPUT = 7  # output of the task
    RESULT = 8
    ERROR = 9
    EVENT = 10  # the kind of an event of the task, whether only its latest matters, and the pickled payload
    CALLBACK = 11  # the address of a socket for scikit-learn's callbacks, its key, and a message for it
    LIMIT = 12  # the seconds from now on after which the task is to be ended, and the option that says so
    ASK = 13  # the name of a value that another host may have
    ANSWER = 14  # the name, whether to tell of it when it is computed, and the value if another host has it
    TELL = 15  # the name of a value that was computed, and the value if it is for other hosts


Message: TypeAlias = tuple[Kind, list[Buffer]]


def head_of(kind: Kind, buffers: Sequence[Buffer]) -> bytes:
    """Return the header of a message; a message without buffers consists of it alone."""
    return _HEAD.pack(kind, len(buffers)) + struct.pack(f"!{len(buffers)}Q", *map(len, buffers))


class Channel(abc.ABC):
    """One end of a message channel; a subclass writes and reads the bytes."""

    def __init__(self) -> None:
        self._ahead = bytearray()  # read ahead

    @abc.abstractmethod
    def _write(self, views: list[memoryview]) -> None:
        """Write all of the views."""

    @abc.abstractmethod
    def _read(self, deadline: float | None) -> bytes:
        """Wait for some bytes until `deadline` (seconds of ``time.monotonic()``); return ``b""`` at the end."""

    def send(self, kind: Kind, buffers: Iterable[Buffer] = ()) -> None:
        """Send a message.

        Raises
        ------
        OSError
            If the other end is closed.
        """
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        self._write([memoryview(head_of(kind, views)), *(view for view in views if len(view))])

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
        if size <= _CHUNK:
            while size > len(self._ahead):
                self._ahead += self._some(deadline)
            taken = self._ahead[:size]
            del self._ahead[:size]
            return taken
        taken = bytearray(size)  # large: read into its final place
        filled = min(len(self._ahead), size)
        taken[:filled] = self._ahead[:filled]
        del self._ahead[:filled]
        while filled < size:
            data = self._some(deadline)
            used = min(len(data), size - filled)
            taken[filled : filled + used] = data[:used]
            filled += used
            self._ahead += data[used:]
        return taken

    def _some(self, deadline: float | None) -> bytes:
        data = self._read(deadline)
        if not data:
            raise EOFError
        return data


class PipeChannel(Channel):
    """A channel over a pair of file descriptors, without timeouts.

    Parameters
    ----------
    source, sink : int
        The file descriptors to read from and to write to.
    """

    def __init__(self, source: int, sink: int) -> None:
        super().__init__()
        self._source = source
        self._sink = sink
        self._reader = Reader(_CHUNK)

    def _write(self, views: list[memoryview]) -> None:
        start = 0
        while start < len(views):
            written = os.writev(self._sink, views[start : start + _MOST_BUFFERS])
            while start < len(views) and written >= len(views[start]):
                written -= len(views[start])
                start += 1
            if written:
                views[start] = views[start][written:]

    def _read(self, deadline: float | None) -> bytes:
        return self._reader.read(self._source)

    def wait(self, seconds: float) -> bool:
        """Wait for something to read; return whether there is."""
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        return bool(self._ahead or poll.poll(max(seconds, 0.0) * 1000))
