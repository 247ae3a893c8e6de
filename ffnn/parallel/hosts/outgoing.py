"""A queue of data to be written to a non-blocking pipe."""

from __future__ import annotations

import collections
import contextlib
import itertools
import os
import select
import threading
from collections.abc import Iterable
from typing import IO

__all__ = ["Outgoing"]

_BATCH = 64  # views that are written by one call


class Outgoing:
    """Writes as much as the pipe takes immediately, and the rest in a thread.

    Senders never block, and nothing is copied: the queue holds views of the sender's memory.

    Parameters
    ----------
    pipe : file
        The pipe's end, without a buffer; it is closed by :meth:`close`.

    Attributes
    ----------
    n_bytes : int
        The number of bytes passed to :meth:`send` so far.
    n_taken : int
        The number of queued bytes that were written later, which shows that the other end still reads.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._changed = threading.Condition()
        self._backlog: collections.deque[memoryview] = collections.deque()
        self._closed = False
        self.n_bytes: int = 0
        self.n_taken: int = 0
        os.set_blocking(pipe.fileno(), False)
        threading.Thread(target=self._serve, name="ffnn-writer", daemon=True).start()

    @property
    def busy(self) -> bool:
        """Whether data is queued."""
        return bool(self._backlog)

    def send(self, views: Iterable[memoryview]) -> None:
        """Write some data after the queued data; after :meth:`close` it is dropped."""
        views = list(views)
        with self._changed:
            if self._closed:
                return
            self.n_bytes += sum(map(len, views))
            idle = not self._backlog
            self._backlog.extend(views)
            if idle:
                self._flush()
                if self._backlog:
                    self._changed.notify_all()

    def close(self) -> None:
        """Drop the queued data and close the pipe."""
        with self._changed:
            self._closed = True
            self._backlog.clear()
            with contextlib.suppress(OSError):
                self._pipe.close()
            self._changed.notify_all()

    def _flush(self) -> int:
        """Write as much as the pipe takes at once and return the number of bytes; the caller holds the lock."""
        backlog = self._backlog
        total = 0
        while backlog:
            try:
                written = os.writev(self._pipe.fileno(), list(itertools.islice(backlog, _BATCH)))
            except BlockingIOError:
                break
            except OSError:  # the other end is closed; threads that wait for an answer learn of it from the reader
                backlog.clear()
                break
            total += written
            while backlog and written >= len(backlog[0]):
                written -= len(backlog.popleft())
            if written:
                backlog[0] = backlog[0][written:]
        return total

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._backlog or self._closed)
                if self._closed:
                    return
                self.n_taken += self._flush()
                poll = select.poll()
                poll.register(self._pipe, select.POLLOUT)
            poll.poll(1000)
