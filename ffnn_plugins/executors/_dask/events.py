"""Events of tasks on their way from the Dask workers to the client: as events of Dask's own, through the scheduler."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable
from typing import Any, TypeAlias

from distributed import Client, Worker

from ffnn.parallel.tasks.wire import Kind, Message

__all__ = ["Events", "OutgoingEvents", "TakeEvent"]

TakeEvent: TypeAlias = Callable[[Message], object]

_KEY = "ffnn"
_MOST = 1000  # events that wait to be sent together


class Events:
    """Receives the events of one run's tasks, on the client's event loop.

    Parameters
    ----------
    client : distributed.Client
        A connected client.
    topic : str
        Dask's topic for the events.
    """

    def __init__(self, client: Client, topic: str) -> None:
        self._client = client
        self._topic = topic
        self._tasks: dict[int, TakeEvent] = {}
        self._numbers = itertools.count()
        client.subscribe_topic(topic, self._take)

    def add(self, take_event: TakeEvent) -> int:
        """Pass a task's events on, and return the number under which they come."""
        number = next(self._numbers)
        self._tasks[number] = take_event
        return number

    def remove(self, number: int) -> None:
        """Drop the events of a task from now on."""
        del self._tasks[number]

    def close(self) -> None:
        """Receive nothing more."""
        self._client.unsubscribe_topic(self._topic)

    def _take(self, event: tuple[float, Any]) -> None:
        message = event[1]  # the scheduler has a few of its own, if the topic is a client
        if isinstance(message, dict) and _KEY in message:
            number, events = message[_KEY]
            if number in self._tasks:
                for kind, buffers in events:
                    self._tasks[number]((Kind(kind), buffers))


class OutgoingEvents:
    """The events of one task on a Dask worker, which are sent several at a time.

    Parameters
    ----------
    worker : distributed.Worker
        The Dask worker.
    topic : str
        Dask's topic for the events.
    number : int
        The task's number.
    """

    def __init__(self, worker: Worker, topic: str, number: int) -> None:
        self._worker = worker
        self._topic = topic
        self._number = number
        self._waiting: collections.deque[tuple[int, list[bytes]]] = collections.deque()

    def take(self, message: Message) -> None:
        """Take an event of the task."""
        self._waiting.append((int(message[0]), [bytes(buffer) for buffer in message[1]]))
        if len(self._waiting) >= _MOST:
            self.send()

    def send(self) -> None:
        """Send what has been taken; before the task's result, so that it arrives before that."""
        events = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if events:
            self._worker.log_event(self._topic, {_KEY: [self._number, events]})
