"""A command on a host as its client sees it: what :class:`subprocess.Popen` is for one of this machine."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ffnn.parallel.agent import frames

__all__ = ["Completed", "Process"]


@dataclass(frozen=True)
class Completed:
    """How a command went whose end was waited for."""

    exit_code: int
    stdout: bytes
    stderr: str


class _Line(Protocol):
    def say(self, kind: int, channel: int, payload: bytes = b"") -> None: ...
    def pour(self, channel: int, buffers: Sequence[memoryview]) -> None: ...


class Process:
    """One command and its streams; made by :class:`ffnn.parallel.hosts.connection.Connection`.

    Attributes
    ----------
    exit_code : int or None
        The exit code, negative for a signal; None while it runs, and if the host was lost before it ended.
    lost : str or None
        Why its host was given up, if that is how it ended.
    on_stderr : callable
        Is called with what the command writes to standard error.
    no_news : bytes
        Output that wakes nobody if it comes alone: it is read with what follows, or when the time to wait is over.
    """

    def __init__(self, channel: int, line: _Line) -> None:
        self._channel = channel
        self._line = line
        self._changed = threading.Condition()
        self._output: collections.deque[bytes] = collections.deque()
        self._read = 0  # bytes that the agent does not yet know to have been read
        self._ended = False
        self.exit_code: int | None = None
        self.lost: str | None = None
        self.on_stderr: Callable[[bytes], None] = lambda data: None
        self.no_news = b""

    @property
    def alive(self) -> bool:
        """Whether the command still runs, as far as is known."""
        return not self._ended

    def send(self, buffers: Sequence[memoryview]) -> None:
        """Write to the command's standard input, at once or as soon as it reads."""
        if self._ended:
            raise BrokenPipeError
        self._line.pour(self._channel, buffers)

    def end_input(self) -> None:
        """Let the command see the end of its standard input."""
        self._line.say(frames.EOF, self._channel)

    def end(self) -> None:
        """End the command and all that it started, without waiting."""
        if not self._ended:
            self._line.say(frames.CLOSE, self._channel)

    def read(self, deadline: float | None = None) -> bytes:
        """Wait for some of the command's standard output; nothing is its end.

        Raises
        ------
        TimeoutError
            If nothing came by `deadline` (in seconds of ``time.monotonic()``).
        """
        with self._changed:
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            if not self._changed.wait_for(lambda: self._output or self._ended, left):
                raise TimeoutError
            data = self._output.popleft() if self._output else b""
            self._read += len(data)
            granted = self._read if self._read >= frames.WINDOW // 2 else 0
            self._read -= granted
        if granted:
            self._line.say(frames.GRANT, self._channel, b"%d" % granted)
        return data

    def wait(self, timeout: float | None = None) -> bool:
        """Wait (seconds) until the command has ended; return whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ended, timeout)

    # --- what the connection tells

    def take_output(self, data: bytes) -> None:
        """Standard output has come."""
        with self._changed:
            self._output.append(data)
            if data != self.no_news:
                self._changed.notify_all()

    def take_stderr(self, data: bytes) -> None:
        """Standard error has come."""
        self.on_stderr(data)

    def take_exit(self, code: int) -> None:
        """The command has ended."""
        with self._changed:
            self.exit_code = code
            self._ended = True
            self._changed.notify_all()

    def take_loss(self, reason: str) -> None:
        """The host is lost."""
        with self._changed:
            self.lost = reason
            self._ended = True
            self._changed.notify_all()
