"""One worker as its parent sees it: a supervised child process, warm between tasks."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ffnn.exceptions import TaskTimeoutError, WorkerStartError
from ffnn.parallel import supervisor
from ffnn.parallel.wire import Buffer, Channel, Kind, Message

__all__ = ["Worker", "WorkerGone", "describe_exit"]

_TAIL = 20  # lines of standard error that are kept
_STOP = 5.0  # seconds for a process to end by itself
_LAST_MOMENT = 1.0  # seconds between the end of a process's output and its own
_PIPE = 1 << 20  # bytes that a pipe should hold; the system's own default is a sixteenth of it
_F_SETPIPE_SZ = 1031


class WorkerGone(Exception):
    """The process ended by itself, or was killed.

    Attributes
    ----------
    started : bool
        Whether it had begun a task, so that the task may be the reason.
    """

    def __init__(self, started: bool) -> None:
        super().__init__()
        self.started = started


class Worker:
    """A process that runs tasks, from its start to its death.

    Parameters
    ----------
    name : str
        The name for messages.
    command : sequence of str
        What to run; it speaks :mod:`ffnn.parallel.wire` on its standard streams.
    environment : mapping
        Its environment, in full.
    start_timeout : float
        Seconds until it must be ready.

    Raises
    ------
    WorkerStartError
        If it cannot be started.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], start_timeout: float) -> None:
        self.name = name
        self.n_tasks = 0
        self._start_timeout = start_timeout
        self._ready = False
        self._tail: collections.deque[str] = collections.deque(maxlen=_TAIL)
        try:
            self._process = subprocess.Popen(
                # -I -S: the supervisor needs nothing that the user has installed or set
                [sys.executable, "-I", "-S", str(Path(supervisor.__file__)), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(environment),
                bufsize=0,
                start_new_session=True,  # Ctrl-C reaches the parent alone, which then decides
            )
        except OSError as error:
            raise WorkerStartError(f"worker {name} could not be started: {error}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for pipe in (self._process.stdin, self._process.stdout):
            os.set_blocking(pipe.fileno(), False)
            _enlarge(pipe.fileno())
        self._channel = Channel(self._process.stdout.fileno(), self._process.stdin.fileno())
        self._drain = threading.Thread(target=self._read_stderr, name=f"{name}-stderr", daemon=True)
        self._drain.start()

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    @property
    def stderr(self) -> str:
        """The last lines of its standard error."""
        return "\n".join(self._tail)

    def wait_until_ready(self) -> None:
        """Wait for the process to take tasks.

        Raises
        ------
        WorkerStartError
            If it ends, or takes longer than ``start_timeout``; it is gone then.
        WorkerGone
            If it was killed.
        """
        if self._ready:
            return
        try:
            kind, _ = self._receive(time.monotonic() + self._start_timeout)
        except TimeoutError:
            self.kill()
            reason = f"was not ready after {self._start_timeout:g} seconds (start_timeout)"
        except (EOFError, OSError):
            self._bury()
            if (self.exit_code or 0) < 0:  # killed: another may do better
                raise WorkerGone(started=False) from None
            reason = f"{describe_exit(self.exit_code)} before it was ready"
        else:
            self._ready = kind is Kind.READY
            return
        raise WorkerStartError(f"worker {self.name} {reason}; its last words:\n{self.stderr or '(none)'}")

    def run(self, task: Sequence[Buffer], timeout: float | None) -> Message:
        """Run a packed task and return what came back.

        Parameters
        ----------
        task : sequence of buffers
            What :func:`ffnn.parallel.task.pack` made.
        timeout : float or None
            Seconds that the task may take, not counting those in which it imports modules.

        Raises
        ------
        WorkerGone
            If the process ended.
        TaskTimeoutError
            If the task took too long; the process is gone then.
        """
        self.n_tasks += 1
        started = False
        try:
            self._channel.send(Kind.TASK, task, time.monotonic() + self._start_timeout)
            deadline: float | None = time.monotonic() + self._start_timeout
            left = timeout
            while True:
                message = self._receive(deadline)
                now = time.monotonic()
                if message[0] in (Kind.RESULT, Kind.ERROR):
                    return message
                if message[0] is Kind.PAUSED and left is not None and deadline is not None:
                    left = max(deadline - now, 0.0)
                    deadline = now + self._start_timeout
                elif message[0] in (Kind.STARTED, Kind.RESUMED):
                    started = True
                    deadline = None if left is None else now + left
        except TimeoutError:
            self.kill()
            if timeout is None or not started:
                raise WorkerGone(started) from None  # it does not even take the task: stopped, or swapped out
            raise TaskTimeoutError(f"it took longer than task_timeout={timeout:g} seconds and was ended") from None
        except (EOFError, OSError):
            self._bury()
            raise WorkerGone(started) from None

    def end(self) -> None:
        """End the process and what it runs, without waiting; from any thread."""
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Let the process end by itself, between tasks; kill it if it does not."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._channel.send(Kind.STOP, deadline=time.monotonic() + 0.1)
            self._process.wait(_STOP)
        self.kill()

    def kill(self) -> None:
        """End the process and all that came from it, and wait until it is gone."""
        self.end()
        self._bury()

    def _receive(self, deadline: float | None) -> Message:
        """Wait for a message; show on the way what the task prints."""
        while True:
            kind, buffers = self._channel.receive(deadline)
            if kind is not Kind.OUTPUT:
                return kind, buffers
            stream = sys.stdout if bytes(buffers[0]) == b"stdout" else sys.stderr
            with contextlib.suppress(OSError, ValueError):  # whoever closed it does not want to see it
                stream.write(bytes(buffers[1]).decode("utf-8", "replace"))

    def _bury(self) -> None:
        """Wait for the end of a process that is about to end, and close what is left of it."""
        process = self._process
        # its pipes are closed a moment before it has ended; to end the lease now would hide how it did
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_LAST_MOMENT)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()  # the end of the input is the end of the supervisor's lease
        try:
            process.wait(2 * supervisor.GIVE_UP)
        except subprocess.TimeoutExpired:  # the supervisor itself hangs; the kernel kills its child with it
            process.kill()
            process.wait()
        self._drain.join(1.0)

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as pipe:
            rest = b""
            while data := pipe.read(1 << 16):
                *lines, rest = (rest + data).split(b"\n")
                rest = rest[-1000:]
                self._tail.extend(line[-1000:].decode("utf-8", "replace") for line in lines[-_TAIL:])
            if rest:
                self._tail.append(rest.decode("utf-8", "replace"))


def describe_exit(code: int | None) -> str:
    """Say in words how a process ended."""
    if code is None:
        return "stopped answering"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (as the system does to what takes too much memory)" if code == -signal.SIGKILL else ""
    return f"was killed by {name}{hint}"


def _enlarge(pipe: int) -> None:
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):  # the user's share of pipe memory is used up: slower, not wrong
            fcntl.fcntl(pipe, _F_SETPIPE_SZ, _PIPE)
