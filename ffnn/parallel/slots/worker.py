"""The client's side of a worker: a supervised process on a host, warm between tasks."""

from __future__ import annotations

import codecs
import contextlib
import re
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial

from ffnn.exceptions import TaskTimeoutError, WorkerStartError
from ffnn.parallel.hosts.remote import Process
from ffnn.parallel.hosts.tail import Tail
from ffnn.parallel.output import STDERR, STDOUT
from ffnn.parallel.slots.clock import TaskClock
from ffnn.parallel.slots.exchange import Exchange
from ffnn.parallel.tasks.wire import Buffer, Channel, Kind, Message, head_of

__all__ = ["Worker", "WorkerGone", "describe_exit", "without_addresses"]

_TAIL = 20  # lines of standard error that are kept
_ADDRESS = re.compile("0x[0-9a-f]{6,}")
_STOP = 5.0  # seconds for a process to end by itself
_END = 30.0  # seconds for a host to end a process by force
_STARTED = head_of(Kind.STARTED, [])
_LAST_MOMENT = 2.0  # seconds between the end of a process's output and its own


def _ignore(event: Message) -> object:
    return None


class WorkerGone(Exception):
    """The process ended, was killed, or its host was lost.

    Attributes
    ----------
    started : bool
        Whether it had started the task, so that the task may be the cause.
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
    process : Process
        The process; it uses the protocol of :mod:`ffnn.parallel.tasks.wire` on its standard streams.
    start_timeout : float
        Seconds until it must be ready.
    log : callable
        Called with its output on standard error.
    exchange : Exchange, optional
        What hosts compute for each other; by default it computes all for itself.
    """

    def __init__(
        self,
        name: str,
        process: Process,
        start_timeout: float,
        log: Callable[[bytes], None],
        exchange: Exchange | None = None,
    ) -> None:
        self.name = name
        self._exchange = exchange or Exchange(1)
        self.n_tasks: int = 0
        self._start_timeout = start_timeout
        self._ready = False
        self._process = process
        self._channel = _ProcessChannel(process)
        self._tail = Tail(_TAIL)
        self._log = log
        self._take_event: Callable[[Message], object] = _ignore
        decoder = codecs.getincrementaldecoder("utf-8")  # a character may arrive in two pieces
        self._printed = {b"stdout": (STDOUT, decoder("replace")), b"stderr": (STDERR, decoder("replace"))}
        process.on_stderr = self._take_stderr

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.alive

    @property
    def ready(self) -> bool:
        """Whether the worker has reported that it is ready for tasks."""
        return self._ready

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs, or if its host was lost."""
        return self._process.exit_code

    @property
    def end_in_words(self) -> str:
        """A phrase that says how it ended."""
        if self._process.lost is not None:
            return f"was lost with its host ({self._process.lost})"
        return describe_exit(self.exit_code)

    @property
    def stderr(self) -> str:
        """The last lines of its standard error."""
        return self._tail.text

    def wait_until_ready(self) -> None:
        """Wait for the process to take tasks.

        Raises
        ------
        WorkerStartError
            If it ends, or takes longer than ``start_timeout``; it is gone then.
        WorkerGone
            If it was killed, or its host was lost.
        """
        if self._ready:
            return
        try:
            kind, _ = self._receive(time.monotonic() + self._start_timeout)
        except TimeoutError:
            self.kill()
            reason = f"was not ready after {self._start_timeout:g} seconds (start_timeout)"
        except (EOFError, OSError):
            self._wait_for_end()
            if self.exit_code is None or self.exit_code < 0:  # another worker may be luckier
                raise WorkerGone(started=False) from None
            reason = f"{describe_exit(self.exit_code)} before it was ready"
        else:
            self._ready = kind is Kind.READY
            return
        raise WorkerStartError(f"worker {self.name} {reason}; its last words:\n{self.stderr or '(none)'}")

    def run(
        self,
        task: Sequence[Buffer],
        timeout: float | None,
        take_event: Callable[[Message], object] = _ignore,
    ) -> Message:
        """Run a packed task and return the worker's answer.

        Parameters
        ----------
        task : sequence of buffers
            A task packed by :func:`ffnn.parallel.tasks.task.pack_task`.
        timeout : float or None
            Seconds that the task may take, not counting those in which it imports modules. The task may set a limit
            for a part of it itself.
        take_event : callable
            Called with each event that the task sends, and each message of a callback; raises nothing.

        Raises
        ------
        WorkerGone
            If the process ended.
        TaskTimeoutError
            If the task took too long; the process is gone then.
        """
        self.n_tasks += 1
        self._take_event = take_event
        # with hundreds of workers, needless wake-ups of threads would be most of a task's cost
        self._process.no_news = b"" if timeout is not None else _STARTED
        clock = TaskClock(timeout, self._start_timeout)
        try:
            self._channel.send(Kind.TASK, task)
            while True:
                kind, buffers = message = self._receive(clock.deadline)
                if kind in (Kind.RESULT, Kind.ERROR):
                    return message
                if kind in (Kind.STARTED, Kind.RESUMED):
                    clock.go()
                elif kind is Kind.PAUSED:
                    clock.pause()
                elif kind is Kind.LIMIT:
                    seconds, option = (bytes(buffer).decode() for buffer in buffers)
                    clock.limit_fit(float(seconds), option)
        except TimeoutError:
            self.kill()
            if clock.exceeded is None or not clock.started:
                raise WorkerGone(
                    clock.started
                ) from None  # it did not even take the task: it is stopped, or swapped out
            raise TaskTimeoutError(f"it took longer than {clock.exceeded} seconds and was ended") from None
        except (EOFError, OSError):
            self._wait_for_end()
            raise WorkerGone(clock.started) from None
        finally:
            self._take_event = _ignore
            self._exchange.leave(self)

    def end(self) -> None:
        """End the process and what it runs, without waiting; from any thread."""
        self._process.end()

    def stop(self) -> None:
        """Ask the process to end, between tasks; kill it if it does not."""
        deadline = time.monotonic() + _STOP
        with contextlib.suppress(OSError, TimeoutError):
            self._channel.send(Kind.STOP)
            while self._process.read(deadline) and time.monotonic() < deadline:
                pass  # a thread left by a task may still print; it must not wait for a reader
        self.kill()

    def kill(self) -> None:
        """End the process and its descendants, and wait until it is gone."""
        self.end()
        self._process.wait(_END)

    def _receive(self, deadline: float | None) -> Message:
        """Wait for a message; deal with the task's output, events and questions that arrive before it."""
        while True:
            kind, buffers = self._channel.receive(deadline)
            if kind is Kind.OUTPUT:
                stream, decoder = self._printed[bytes(buffers[0])]
                stream.write(decoder.decode(buffers[1]))
            elif kind in (Kind.EVENT, Kind.CALLBACK):
                self._take_event((kind, buffers))
            elif kind is Kind.ASK:
                self._exchange.ask(bytes(buffers[0]).decode(), self, partial(self._channel.send, Kind.ANSWER))
            elif kind is Kind.TELL:
                self._exchange.tell(bytes(buffers[0]).decode(), buffers[1] if len(buffers) > 1 else None)
            else:
                return kind, buffers
            if deadline is not None and time.monotonic() > deadline:  # there may always be more
                raise TimeoutError

    def _take_stderr(self, data: bytes) -> None:
        self._tail.add(data)
        self._log(data)

    def _wait_for_end(self) -> None:
        """Wait for a process that is about to end, since its output ends a moment earlier."""
        if not self._process.wait(_LAST_MOMENT):
            self.kill()


class _ProcessChannel(Channel):
    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process

    def _write(self, views: list[memoryview]) -> None:
        self._process.send(views)

    def _read(self, deadline: float | None) -> bytes:
        return self._process.read(deadline)


def describe_exit(code: int | None) -> str:
    """Return a phrase that says how a process ended."""
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


def without_addresses(text: str) -> str:
    """Return a text without the addresses in it, which differ between processes that died for the same reason."""
    return _ADDRESS.sub("0x...", text)
