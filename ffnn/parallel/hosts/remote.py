"""A command on a host, like :class:`subprocess.Popen` on this machine."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ffnn.parallel.agent import frames
from ffnn.parallel.hosts.command import Facts
from ffnn.parallel.preflight.compare import Report

__all__ = ["Completed", "ConnectedHost", "Process"]


@dataclass(frozen=True)
class Completed:
    """The exit code and the output of a command that has ended."""

    exit_code: int
    stdout: bytes
    stderr: str


class ConnectedHost(Protocol):
    """A host with a running agent, such as :class:`ffnn.parallel.hosts.host.Host`."""

    report: Report | None  # its versions, once they are known

    @property
    def name(self) -> str:
        """The host's name, for messages."""

    @property
    def facts(self) -> Facts:
        """The properties that its agent reported."""

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        input: bytes = b"",
        timeout: float = 60.0,
    ) -> Completed:
        """Run a command and wait at most `timeout` seconds for its end."""


class _Link(Protocol):
    def say(self, kind: int, channel: int, payload: bytes = b"") -> None: ...
    def send_data(self, channel: int, buffers: Sequence[memoryview]) -> None: ...


class Process:
    """One command and its streams; made by :class:`ffnn.parallel.hosts.connection.Connection`.

    Attributes
    ----------
    exit_code : int or None
        The exit code, negative for a signal; None while it runs, and if the host was lost before it ended.
    lost : str or None
        The reason why its host was lost, if that is how it ended.
    on_stderr : callable
        Called with the command's output on standard error.
    no_news : bytes
        Output that does not wake a reader by itself: it is read with later output, or at the deadline.
    """

    def __init__(self, channel: int, line: _Link) -> None:
        self._channel = channel
        self._line = line
        self._changed = threading.Condition()
        self._output: collections.deque[bytes] = collections.deque()
        self._read = 0  # bytes read that were not reported to the agent yet
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
        """Write to the command's standard input without blocking."""
        if self._ended:
            raise BrokenPipeError
        self._line.send_data(self._channel, buffers)

    def end_input(self) -> None:
        """Close the command's standard input."""
        self._line.say(frames.EOF, self._channel)

    def end(self) -> None:
        """End the command and all processes that it started, without waiting."""
        if not self._ended:
            self._line.say(frames.CLOSE, self._channel)

    def read(self, deadline: float | None = None) -> bytes:
        """Wait for some of the command's standard output; return ``b""`` at its end.

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

    # --- called by the connection

    def take_output(self, data: bytes) -> None:
        """Receive standard output."""
        with self._changed:
            self._output.append(data)
            if data != self.no_news:
                self._changed.notify_all()

    def take_stderr(self, data: bytes) -> None:
        """Receive standard error."""
        self.on_stderr(data)

    def take_exit(self, code: int) -> None:
        """Receive the exit code."""
        with self._changed:
            self.exit_code = code
            self._ended = True
            self._changed.notify_all()

    def take_loss(self, reason: str) -> None:
        """Receive the reason why the host was lost."""
        with self._changed:
            self.lost = reason
            self._ended = True
            self._changed.notify_all()
