"""The process that runs tasks, one after the other: ``python -m ffnn.parallel.tasks.child``.

It receives tasks over its standard input and answers over its standard output; the output of tasks is kept separate.
Python's ``print`` is forwarded to the process that submitted the task. Other output to the descriptors of standard
output and standard error, such as an engine's messages, goes to standard error, which the parent keeps for error
messages.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import io
import os
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from ffnn.parallel.tasks import time_limit
from ffnn.parallel.tasks.events import EventStream, of_process, pack_event
from ffnn.parallel.tasks.imports import watch_imports
from ffnn.parallel.tasks.wire import Buffer, Kind, Message, PipeChannel

__all__ = ["main"]

_PIECE = 1 << 16  # bytes of output that a message carries


def main() -> None:
    """Run tasks until standard input ends or a STOP message arrives; then end the process."""
    _serve()
    # run atexit functions; an orderly teardown of an engine would take seconds
    atexit._run_exitfuncs()
    os._exit(0)


def _serve() -> None:
    channel = _LockedChannel(*_take_over_pipes())
    streams = _forwarded(channel, "stdout"), _forwarded(channel, "stderr", also_to=2)
    sys.stdout, sys.stderr = streams
    faulthandler.enable(file=2)
    import joblib

    from ffnn.parallel.tasks.callbacks import relay_to
    from ffnn.parallel.tasks.exchange import ask_through
    from ffnn.parallel.tasks.task import run_packed

    time_limit.enforce(lambda seconds, option: channel.send(Kind.LIMIT, [repr(seconds).encode(), option.encode()]))
    ask_through(channel)
    relay_to(lambda message: channel.send(Kind.CALLBACK, message))
    watch_imports(lambda paused: channel.send(Kind.PAUSED if paused else Kind.RESUMED))
    # a worker is one slot: nested joblib calls run in sequence, unless the task names a backend
    with joblib.parallel_config(backend="sequential"):
        channel.send(Kind.READY)
        while True:
            try:
                kind, buffers = channel.receive()
            except EOFError:
                return
            if kind is Kind.STOP:
                return
            if kind is Kind.ANSWER:  # to a question that was given up
                continue
            channel.send(Kind.STARTED)
            with of_process(EventStream(channel.send_event)):
                message = run_packed(buffers)
            del buffers
            for stream in streams:
                with contextlib.suppress(ValueError):  # the task closed it
                    stream.flush()
            channel.send(*message)
            del message


class _LockedChannel(PipeChannel):
    """A channel on which several threads may send and ask: a task's threads may print, and report events."""

    def __init__(self, source: int, sink: int) -> None:
        super().__init__(source, sink)
        self._lock = threading.RLock()
        self._reading = threading.Lock()
        self._unread: list[Message] = []
        self._pid = os.getpid()

    def receive(self, deadline: float | None = None) -> Message:
        with self._reading:
            return self._unread.pop() if self._unread else super().receive(deadline)

    def ask(self, name: str, patience: float) -> Sequence[Buffer] | None:
        if not self._reading.acquire(blocking=False):  # another thread asks, or waits for the next task
            return None
        try:
            self.send(Kind.ASK, [name.encode()])
            until = time.monotonic() + patience
            while not self._unread and self.wait(until - time.monotonic()):
                kind, buffers = super().receive()
                if kind is not Kind.ANSWER:  # the task is over, and this is a thread that it has left
                    self._unread.append((kind, buffers))
                elif bytes(buffers[0]) == name.encode():  # not that of a question that was given up
                    return buffers[1:]
        except (OSError, EOFError):  # the parent is gone
            pass
        finally:
            self._reading.release()
        return None

    def tell(self, name: str, data: Buffer | None) -> None:
        with contextlib.suppress(OSError):
            self.send(Kind.TELL, [name.encode(), *([] if data is None else [data])])

    def send(self, kind: Kind, buffers: Iterable[Buffer] = ()) -> None:
        if os.getpid() != self._pid:  # a process that a task forked must not use this channel
            return
        with self._lock:
            super().send(kind, buffers)

    def send_event(self, kind: str, payload: object, latest_only: bool) -> None:
        """Send an event of the task."""
        buffers = pack_event(kind, payload, latest_only)
        if buffers is not None:
            with contextlib.suppress(OSError):  # the parent is gone; the end of the input ends this process
                self.send(Kind.EVENT, buffers)


class _Forwarder(io.RawIOBase):
    """A text stream that sends its output to the parent."""

    def __init__(self, channel: PipeChannel, name: str, also_to: int | None) -> None:
        self._channel = channel
        self._name = name
        self._also_to = also_to
        self._pid = os.getpid()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        """Return the descriptor, for subprocesses and C code."""
        return 1 if self._name == "stdout" else 2

    def write(self, data: Any) -> int:
        data = data[:_PIECE]  # callers write the rest in their next call
        forked = os.getpid() != self._pid  # a forked process must not use this channel
        if forked or self._also_to is not None:
            with contextlib.suppress(OSError):  # the task closed it, or the parent is gone
                os.write(2, data)
        if not forked:
            with contextlib.suppress(OSError):  # the parent is gone; the end of the input ends this process
                self._channel.send(Kind.OUTPUT, [self._name.encode(), data])
        return len(data)


def _forwarded(channel: PipeChannel, name: str, also_to: int | None = None) -> io.TextIOWrapper:
    raw = _Forwarder(channel, name, also_to)
    return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True)


def _take_over_pipes() -> tuple[int, int]:
    """Reserve standard input and output for messages, and replace them with harmless ones for all other code."""
    source, sink = os.dup(0), os.dup(1)  # processes started by tasks do not inherit these
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return source, sink


if __name__ == "__main__":
    main()
