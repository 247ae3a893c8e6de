"""Events: what a running task reports to the process that submitted it.

An event travels over the channel of the task's executor: through the pipe of the worker and the connection of its host,
or through Dask's scheduler. It is one-way and never answered, so no task waits for those who listen.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import cloudpickle

from ffnn._utils.event_queue import Event
from ffnn.executor import Future
from ffnn.parallel.output import warn
from ffnn.parallel.tasks import callbacks
from ffnn.parallel.tasks.wire import Buffer, Kind, Message

__all__ = ["EventStream", "of_process", "of_thread", "pack_event", "send_event", "take_event"]

_INTERVAL = 0.25  # seconds between two events of a kind of which only the latest matters
_MOST = 1 << 16  # bytes of a pickled event
_YES, _NO = b"1", b"0"


def send_event(kind: str, payload: object = None, *, latest_only: bool = False) -> bool:
    """Send an event from a running task to the process that submitted it, for :meth:`ffnn.executor.Future.on_event`.

    Parameters
    ----------
    kind : str
        What the event is about, for instance ``"epoch"``.
    payload : object, default=None
        Anything that cloudpickle can pickle, in at most 64 KiB. An event that cannot be pickled is dropped with a
        warning.
    latest_only : bool, default=False
        Whether only the latest event of this kind matters. Then at most four a second travel; one that has to wait is
        replaced by the next, and the last arrives before the task's result. It costs a microsecond in between. The
        payload is pickled when it travels, so it must not change after the call. Events of which each matters travel at
        once, some 20 microseconds each.

    Returns
    -------
    bool
        Whether the event was taken. It is False outside a task, in a process that the task has forked, and on an
        executor without events. In a worker process, any thread may send; in the executor ``threads``, the
        thread that runs the task.

    Raises
    ------
    TypeError
        If the kind is not a string.
    """
    if not isinstance(kind, str):
        raise TypeError(
            f"kind must be a string; got {kind!r} of type {type(kind).__name__}. Pass 'epoch', for instance."
        )
    stream = _of_thread.get() or _of_process
    return stream is not None and stream.send(kind, payload, latest_only)


class EventStream:
    """The events of one task, on their way out: those of which only the latest matters are thinned.

    Parameters
    ----------
    emit : callable
        Passes an event on: its kind, its payload, and whether only the latest of its kind matters.
    """

    def __init__(self, emit: Callable[[str, object, bool], None]) -> None:
        self._emit = emit
        self._lock = threading.RLock()  # pickling a payload may run anything
        self._pid = os.getpid()
        self._sent: dict[str, float] = {}  # when an event of a kind was last passed on
        self._waiting: dict[str, object] = {}
        self._closed = False

    def send(self, kind: str, payload: object, latest_only: bool) -> bool:
        """Pass an event on, now or soon; return False if the task is over, or this is a fork of its process."""
        if os.getpid() != self._pid:  # before the lock, which a thread that the fork lacks may hold
            return False
        with self._lock:
            if self._closed:
                return False
            if not latest_only:
                self._flush()
                self._emit(kind, payload, False)
                return True
            now = time.monotonic()
            if now - self._sent.get(kind, -_INTERVAL) < _INTERVAL:
                self._waiting[kind] = payload
                return True
            self._sent[kind] = now
            self._waiting.pop(kind, None)
            self._emit(kind, payload, True)
            return True

    def close(self) -> None:
        """Pass on what waits, and take nothing more."""
        if os.getpid() == self._pid:
            with self._lock:
                self._flush()
                self._closed = True

    def _flush(self) -> None:
        while self._waiting:
            kind = next(iter(self._waiting))
            self._emit(kind, self._waiting.pop(kind), True)


_of_process: EventStream | None = None
_of_thread: contextvars.ContextVar[EventStream | None] = contextvars.ContextVar("ffnn_events", default=None)


@contextlib.contextmanager
def of_process(stream: EventStream) -> Iterator[None]:
    """Make a stream take the events of all threads, while the process runs a task."""
    global _of_process
    _of_process = stream
    try:
        yield
    finally:
        _of_process = None
        stream.close()


@contextlib.contextmanager
def of_thread(stream: EventStream) -> Iterator[None]:
    """Make a stream take the events of this thread, while it runs a task."""
    token = _of_thread.set(stream)
    try:
        yield
    finally:
        _of_thread.reset(token)
        stream.close()


def pack_event(kind: str, payload: object, latest_only: bool) -> list[Buffer] | None:
    """Return the buffers of an event's message; None, after a warning, if it cannot travel."""
    try:
        data = cloudpickle.dumps(payload, protocol=5)
    except Exception as error:  # a user's __reduce__ may raise anything
        _warn_once(kind, f"cannot be pickled: {type(error).__name__}: {error}")
        return None
    if len(data) > _MOST:
        _warn_once(kind, f"has {len(data)} bytes when pickled; expected at most {_MOST}. Return large data as a result")
        return None
    return [kind.encode(), _YES if latest_only else _NO, data]


def take_event(future: Future[Any], message: Message) -> None:
    """Hand an event to the listeners of a task's future, or a message to the callback that it is for."""
    if message[0] is Kind.CALLBACK:
        callbacks.deliver(message[1])
        return
    kind, latest_only, data = message[1]
    future.events.put(Event(bytes(kind).decode(), partial(pickle.loads, data), latest_only == _YES))


_warned: set[str] = set()


def _warn_once(kind: str, why: str) -> None:
    if kind not in _warned:
        _warned.add(kind)
        warn(f"events {kind!r} of tasks are dropped: the first one {why}.", UserWarning)
