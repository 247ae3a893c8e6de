"""The queue of tasks that wait for a slot."""

from __future__ import annotations

import collections
import concurrent.futures
import functools
import threading
import time
from collections.abc import Callable
from typing import Any

from ffnn.executor import Future
from ffnn.parallel.tasks import events
from ffnn.parallel.tasks.task import Packed
from ffnn.parallel.tasks.wire import Message

__all__ = ["Item", "Queue"]


class Item:
    """A task in an executor's queue, or taken from it.

    Parameters
    ----------
    name : str
        Its name in messages.
    pack : callable
        Packs the task; called once, when a worker first takes it, however often it is tried.
    future : Future
        Its future.
    settle : callable, optional
        Settles the future with the worker's message; by default the message itself is the result.
    take_event : callable, optional
        Called with each event that the task sends, and each message of a callback; by default they are delivered.
    """

    def __init__(
        self,
        name: str,
        pack: Callable[[], Packed],
        future: Future[Any],
        settle: Callable[[Message], object] | None = None,
        take_event: Callable[[Message], object] | None = None,
    ) -> None:
        self.name = name
        self.future = future
        self.settle: Callable[[Message], object] = settle or future.settle
        self.take_event: Callable[[Message], object] = take_event or functools.partial(events.take_event, future)
        self.deaths = 0  # workers that died while they ran it
        self.idle_deaths = 0  # workers that died before they started it
        self.began: float | None = None
        self._pack: Callable[[], Packed] | None = pack
        self._packed: Packed | None = None

    @property
    def packed(self) -> Packed:
        """The task, pickled.

        Raises
        ------
        TaskPicklingError
            If it cannot be pickled.
        """
        if self._packed is None:
            assert self._pack is not None
            self._packed = self._pack()
            self._pack = None
        return self._packed

    def take(self) -> bool:
        """Mark the task as running; return False if there is nothing left to do."""
        if self.began is None:
            self.began = time.monotonic()
            return self.future.set_running_or_notify_cancel()
        return not self.future.done()

    def drop(self) -> None:
        """Notify waiting threads that it was cancelled before it started, as ``concurrent.futures`` requires."""
        if self.began is None and concurrent.futures.Future.cancelled(self.future):
            self.take()


class Queue:
    """The tasks that wait for a slot, in the order of their submission."""

    def __init__(self) -> None:
        self._items: collections.deque[Item] = collections.deque()
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        # slots that cannot take a task wait separately, as one of them could consume the notification of a new task
        self._resting = threading.Condition(lock)
        self._closed = False
        self._n_open = 0  # items whose futures are not done, wherever they are
        self._refusal: BaseException | None = None
        self.n_retries: int = 0

    def put(self, item: Item, *, first: bool = False) -> None:
        """Add an item at the end, or again at the front."""
        if not first:
            with self._changed:
                self._n_open += 1
            item.future.add_done_callback(self._note_end)
        with self._changed:
            refusal = self._refusal
            if refusal is None and not item.future.done():
                self._items.appendleft(item) if first else self._items.append(item)
                self._changed.notify()
        if refusal is not None:
            item.future.fail(refusal)

    def wait(self, timeout: float | None) -> bool:
        """Wait (seconds) for a task; return False once the queue is closed and empty.

        Raises
        ------
        TimeoutError
            If nothing came.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._has_work() or self._closed, timeout):
                raise TimeoutError
            return self._has_work()

    def take(self) -> Item | None:
        """Take the first item; None if another slot was faster."""
        with self._changed:
            return self._items.popleft() if self._items else None

    def pass_on(self, rest: float) -> None:
        """Wake another slot, and wait `seconds` or until the queue is closed, as this one cannot take a task."""
        with self._changed:
            self._changed.notify()
            self._resting.wait_for(lambda: self._closed and not self._has_work(), rest)

    def wake_all(self) -> None:
        """Wake every waiting slot, to take the tasks that this one could not."""
        with self._changed:
            self._changed.notify_all()

    def count_retry(self) -> None:
        """Count a retry."""
        with self._changed:
            self.n_retries += 1

    def wait_for_all(self) -> None:
        """Wait until the queue is closed and all of its tasks are done."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed and not self._n_open)

    def close(self) -> None:
        """Accept no more tasks."""
        with self._changed:
            self._closed = True
            self._notify_all()

    def cancel_all(self) -> None:
        """Cancel all waiting tasks."""
        for item in self._drain():
            item.future.cancel()
            item.drop()

    def fail_all(self, error: BaseException, *, for_ever: bool = False) -> None:
        """Fail all waiting tasks; also all later ones, if there will never be a worker."""
        with self._changed:
            if for_ever:
                self._refusal = error
        for item in self._drain():
            item.future.fail(error)

    def _has_work(self) -> bool:
        """Drop cancelled tasks and return whether any are left; the caller holds the lock."""
        while self._items and self._items[0].future.done():
            self._items.popleft().drop()
        return bool(self._items)

    def _note_end(self, future: object) -> None:
        with self._changed:
            self._n_open -= 1
            if self._closed and not self._n_open:
                self._notify_all()

    def _drain(self) -> list[Item]:
        with self._changed:
            items = list(self._items)
            self._items.clear()
            self._notify_all()
        return items

    def _notify_all(self) -> None:
        self._changed.notify_all()
        self._resting.notify_all()
