"""The events of a task in the process that submitted it, and the thread that calls those who listen to them."""

from __future__ import annotations

import collections
import contextlib
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Event", "EventQueue", "Listener"]

Listener: TypeAlias = Callable[[str, object], object]

_MOST_UNHEARD = 100  # events that are kept until somebody listens
_MOST_WAITING = 1000  # events that wait for a slow listener
_IDLE = 1.0  # seconds without an event after which the thread ends


@dataclass(frozen=True)
class Event:
    """Something that a task reports while it runs.

    Attributes
    ----------
    kind : str
        What it is about.
    load : callable
        Returns the payload; called once somebody listens, in the thread of the listeners.
    latest_only : bool
        Whether it may be replaced by a later event of its kind.
    """

    kind: str
    load: Callable[[], object]
    latest_only: bool


class EventQueue:
    """The events of one task that were not delivered yet, and its listeners.

    Listeners are called in a thread of their own, one event after the other in the order of arrival, so a slow listener
    delays other listeners but no task. The queue is bounded: the oldest events are dropped.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a finalizer may send an event, too
        self._waiting: collections.deque[Event] = collections.deque()
        self._listeners: tuple[Listener, ...] = ()
        self._scheduled = False
        self._has_dropped = False

    def listen(self, listener: Listener) -> None:
        """Call a function with the kind and the payload of each event that was not delivered yet."""
        if not callable(listener):
            raise TypeError(
                f"listener must be a function of an event's kind and payload; got {listener!r} of type "
                f"{type(listener).__name__}."
            )
        with self._lock:
            self._listeners += (listener,)
        self._schedule()

    def put(self, event: Event) -> None:
        """Take an event, without waiting."""
        with self._lock:
            if event.latest_only:
                for place, other in enumerate(self._waiting):
                    if other.latest_only and other.kind == event.kind:
                        del self._waiting[place]
                        break
            self._waiting.append(event)
            full = len(self._waiting) > (_MOST_WAITING if self._listeners else _MOST_UNHEARD)
            if full:
                self._waiting.popleft()
            tell = full and bool(self._listeners) and not self._has_dropped
            self._has_dropped = self._has_dropped or tell
        if tell:
            _warn(
                f"a listener to a task's events is too slow: of more than {_MOST_WAITING} that wait, the oldest drop."
            )
        self._schedule()

    def deliver(self) -> bool:
        """Call the listeners with the next event; return whether there are more."""
        with self._lock:
            event = self._waiting.popleft()
            listeners = self._listeners
        try:
            payload = event.load()
        except BaseException as error:
            text = f"an event {event.kind!r} was dropped, as it cannot be unpickled here:\n{_show(error)}"
            _warn_once((event.kind, type(error).__name__), text)
        else:
            for listener in listeners:
                try:
                    listener(event.kind, payload)
                except BaseException as error:
                    name = getattr(listener, "__qualname__", type(listener).__qualname__)
                    text = f"{name}, which listens to the events of a task, failed:\n{_show(error)}"
                    _warn_once((str(getattr(listener, "__module__", "")), name, type(error).__name__), text)
        with self._lock:
            self._scheduled = bool(self._waiting)
            return self._scheduled

    def _schedule(self) -> None:
        with self._lock:
            if self._scheduled or not self._waiting or not self._listeners:
                return
            self._scheduled = True
        _thread.add(self)


class _DeliveryThread:
    """The thread that calls the listeners, which is there while there are events."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queues: collections.deque[EventQueue] = collections.deque()
        self._runs = False

    def add(self, queue: EventQueue) -> None:
        """Deliver the events of a queue."""
        with self._changed:
            self._queues.append(queue)
            if self._runs:
                self._changed.notify()
                return
            thread = threading.Thread(target=self._serve, name="ffnn-events", daemon=True)
            with contextlib.suppress(
                RuntimeError
            ):  # the system allows no more threads; the next task's events try again
                thread.start()
                self._runs = True

    def forget(self) -> None:
        """Start anew in the child of a fork, which has no such thread."""
        self.__dict__.update(_DeliveryThread().__dict__)

    def _serve(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._queues, _IDLE):
                    self._runs = False
                    return
                queue = self._queues.popleft()
            if queue.deliver():  # after those of the other tasks
                with self._changed:
                    self._queues.append(queue)
            del queue


_thread = _DeliveryThread()
os.register_at_fork(after_in_child=_thread.forget)

_reported: collections.deque[tuple[str, ...]] = collections.deque(maxlen=1000)


def _warn_once(cause: tuple[str, ...], text: str) -> None:
    if cause not in _reported:
        _reported.append(cause)
        _warn(text)


def _warn(text: str) -> None:
    """Warn from a thread that must not raise; where warnings are errors, print the text."""
    try:
        warnings.warn(text, UserWarning, stacklevel=3)
    except Exception:
        with contextlib.suppress(Exception):
            sys.stderr.write(f"UserWarning: {text}\n")


def _show(error: BaseException) -> str:
    """Return the traceback of an error, without the frame of this module."""
    trace = error.__traceback__
    return "".join(traceback.format_exception(type(error), error, trace and trace.tb_next)).rstrip()
