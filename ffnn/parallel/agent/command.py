"""A command that an agent runs, and its three streams."""

from __future__ import annotations

import collections
import contextlib
import errno
import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from ffnn.parallel.agent import frames

GIVE_UP = 8.0  # seconds for a command to end
AFTER = 35.0  # further seconds if another command is run afterwards
STOPPED = 20.0  # seconds that a command may be stopped (SIGSTOP)
LAST_WORDS = 1.0  # seconds to wait for the streams of a command that has ended

READER = frames.Reader(frames.CHUNK)


class CannotRun(Exception):
    """The command could not be started; holds the reason and the exit code that a shell would return."""


class Command:
    """A command from its start to its end.

    Parameters
    ----------
    order : dict
        ``argv``, ``environment``, ``inherit``, ``supervised`` and ``after``, as in
        :class:`ffnn.parallel.hosts.command.Command`.
    supervisor : str
        The path of the supervisor's program.
    selector : selectors.BaseSelector
        The selector in which the streams are registered; the data of a key is a function to call, which returns True
        if a command may have ended.
    say : callable
        Called with the kind of a frame and its payload.
    """

    def __init__(
        self,
        order: dict[str, Any],
        supervisor: str,
        selector: selectors.BaseSelector,
        say: Callable[[int, bytes], None],
    ) -> None:
        self._selector = selector
        self._say = say
        self._supervised = order["supervised"]
        self._give_up = GIVE_UP + (AFTER if order["after"] else 0.0)
        self._process = _start(order, supervisor)
        self._stdin = self._process.stdin
        self._pending: collections.deque[memoryview] = collections.deque()  # input that the command has not read yet
        self._full = False  # whether its pipe is full
        self._last = False  # whether the input ends after the pending data
        self._ended: float | None = None
        self._kill_at: float | None = None
        self._credit = frames.WINDOW  # bytes of output that the client accepts now
        self._held = False  # whether output waits for credit
        self._wanted = True
        self._outputs = {self._process.stdout: frames.DATA, self._process.stderr: frames.STDERR}
        os.set_blocking(self._stdin.fileno(), False)
        _enlarge(self._stdin.fileno())
        for stream in self._outputs:
            _enlarge(stream.fileno())
            self._register(stream)

    def feed(self, data: bytes) -> None:
        """Queue input for the command."""
        if self._stdin.closed:
            return
        self._pending.append(memoryview(data))
        if not self._full:
            self._write()

    def finish_input(self) -> None:
        """Close the command's input once all pending data is written."""
        self._last = True
        if not self._pending:
            self._close_input()

    def grant(self, size: int) -> None:
        """Allow that many more bytes of output to be sent to the client."""
        self._credit += size
        self._release()

    def end(self) -> None:
        """End the command and its processes: it may end by itself first, then it is killed."""
        self._wanted = False
        self._release()
        self._close_input()  # a supervisor then ends everything
        if self._process.returncode is None:
            self._kill_at = min(self._kill_at or float("inf"), time.monotonic() + self._give_up)
            if not self._supervised:
                self._kill()

    def look(self) -> int | None:
        """Return the exit code once the command has ended and its output is forwarded; else None."""
        now = time.monotonic()
        if self._ended is None:
            self._wait(now)
        if self._ended is None or self._held or (self._outputs and now < self._ended + LAST_WORDS):
            return None
        for stream in list(self._outputs):
            self._hang_up(stream)
        self._close_input()
        code: int = self._process.returncode
        return code

    def _wait(self, now: float) -> None:
        try:
            pid, status = os.waitpid(self._process.pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        except ChildProcessError:
            pid, status = self._process.pid, 0
        if pid and os.WIFSTOPPED(status):
            self._kill_at = self._kill_at or now + STOPPED
        elif pid and os.WIFCONTINUED(status):
            self._kill_at = None
        elif pid:
            self._process.returncode = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            self._ended = now
        elif self._kill_at is not None and now > self._kill_at:
            self._kill()

    def _kill(self) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _forward(self, stream: Any) -> bool:
        kind = self._outputs[stream]
        limited = kind == frames.DATA and self._wanted
        data = READER.read(stream.fileno(), min(self._credit, frames.CHUNK) if limited else None)
        if not data:
            self._hang_up(stream)
            return True  # it may have ended
        if kind == frames.STDERR or self._credit > 0:  # otherwise the client does not want the output
            self._say(kind, data)
        if kind == frames.DATA:
            self._credit -= len(data)
            if limited and self._credit <= 0:  # then the command waits, too, once its pipe is full
                self._held = True
                self._selector.unregister(stream)
        return False

    def _release(self) -> None:
        """Resume reading output that was held back."""
        if self._held:
            self._held = False
            if self._ended is not None:
                self._ended = time.monotonic()  # keep reading for a while, for the command's last output
            self._register(self._process.stdout)

    def _register(self, stream: Any) -> None:
        self._selector.register(stream, selectors.EVENT_READ, lambda: self._forward(stream))

    def _hang_up(self, stream: Any) -> None:
        del self._outputs[stream]
        self._selector.unregister(stream)
        stream.close()

    def _write(self) -> None:
        try:
            while self._pending:
                written = os.write(self._stdin.fileno(), self._pending[0])
                if written < len(self._pending[0]):
                    self._pending[0] = self._pending[0][written:]
                else:
                    self._pending.popleft()
        except BlockingIOError:
            self._watch_input(True)
            return
        except OSError:  # it no longer reads
            self._close_input()
            return
        self._watch_input(False)
        if self._last:
            self._close_input()

    def _watch_input(self, full: bool) -> None:
        """Resume writing when a full input pipe has room."""
        if full and not self._full:
            self._selector.register(self._stdin, selectors.EVENT_WRITE, self._write)
        elif self._full and not full:
            self._selector.unregister(self._stdin)
        self._full = full

    def _close_input(self) -> None:
        if self._stdin.closed:
            return
        self._watch_input(False)
        self._pending.clear()
        self._stdin.close()


def _start(order: dict[str, Any], supervisor: str) -> Any:
    argv = [os.path.expanduser(order["argv"][0]), *order["argv"][1:]]
    if order["supervised"]:
        after = ["--after", json.dumps(order["after"])] if order["after"] else []
        argv = [sys.executable, "-I", "-S", supervisor, *after, *argv]
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**(os.environ if order["inherit"] else {}), **order["environment"]},
            start_new_session=True,
        )
    except OSError as error:
        code = 127 if error.errno == errno.ENOENT else 126  # a shell's convention
        raise CannotRun(f"cannot run {argv[0]}: {error.strerror}", code) from error


def _enlarge(pipe: int) -> None:
    with contextlib.suppress(OSError):  # the user's limit of pipe memory is reached: slower, but not wrong
        fcntl.fcntl(pipe, 1031, 1 << 20)  # F_SETPIPE_SZ
