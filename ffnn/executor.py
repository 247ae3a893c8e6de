"""The base classes of executors: a ``concurrent.futures.Executor`` that runs tasks somewhere.

An author implements two things: the number of workers, and how a task is started. The base class handles the rest:
shutdown, cancellation, waiting for the last task. The smallest executor, for debugging, runs each task at once in the
calling thread, and so keeps no promise about workers::

    class Here(Executor):
        n_workers = 1

        def _start(self, task, future):
            if future.set_running_or_notify_cancel():
                try:
                    future.settle(task())
                except Exception as error:
                    future.fail(error)
"""

from __future__ import annotations

import abc
import concurrent.futures
import functools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from ffnn._utils.base_executor import BaseExecutor
from ffnn._utils.event_queue import EventQueue
from ffnn._utils.span import Span

__all__ = ["BaseExecutor", "Executor", "Future", "Task"]

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Task:
    """A call that has not been made yet: ``task()`` makes it."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def __call__(self) -> Any:
        """Make the call."""
        return self.function(*self.args, **self.kwargs)

    @property
    def name(self) -> str:
        """The name of the user's function, for messages; joblib's batches and partials are unwrapped."""
        function = getattr(self.function, "__wrapped__", self.function)
        while isinstance(function, functools.partial):
            function = function.func
        items = getattr(function, "items", None)
        if isinstance(items, list) and items and isinstance(items[0], tuple) and items[0]:
            function = items[0][0]
        for named in (function, type(function)):
            name = getattr(named, "__qualname__", None)
            if isinstance(name, str):
                return name
        return "task"


class Future(concurrent.futures.Future[T]):
    """A task's future, whose :meth:`cancel` ends the task even while it runs.

    Attributes
    ----------
    seconds : float or None
        Seconds that the task ran, if the executor knows; set before the future is done.
    worker : str or None
        The name of the worker that ran the task, likewise.
    span : Span
        The time from the task's submission to its end.
    events : EventQueue
        The events of the task, which the executor puts there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.span: Span = Span()
        self.seconds: float | None = None
        self.worker: str | None = None
        self._end: Callable[[], None] | None = None
        self.events: EventQueue = EventQueue()
        self._pid = os.getpid()

    def settle(self, result: T) -> bool:
        """Set the result, unless the future is already done; return whether it was set."""
        try:
            self.set_result(result)
        except concurrent.futures.InvalidStateError:
            return False
        return True

    def fail(self, error: BaseException) -> bool:
        """Set the exception, unless the future is already done; return whether it was set."""
        try:
            self.set_exception(error)
        except concurrent.futures.InvalidStateError:
            return False
        return True

    def set_result(self, result: T) -> None:
        """Set the result; see :meth:`settle`."""
        self.span.end()  # before the caller can see that the task is done, and change its arguments
        super().set_result(result)

    def set_exception(self, exception: BaseException | None) -> None:
        """Set the exception; see :meth:`fail`."""
        self.span.end()
        super().set_exception(exception)

    def on_event(self, listener: Callable[[str, object], object]) -> None:
        """Call a function with the kind and the payload of each event that the task sends while it runs.

        Tasks send events by :func:`ffnn.parallel.tasks.events.send_event`, if their executor can carry them
        (:attr:`Executor.has_events`). A thread calls the listeners of all tasks, one after the other, so that none of
        them slows a task; some events may come after the task is done. What a listener raises becomes a warning, once.

        Parameters
        ----------
        listener : callable
            The function. It gets the events from now on, and, as the task's first listener, the last 100 before. If
            1,000 events wait for it, the oldest are dropped, with one warning.

        Notes
        -----
        A task that is started again, since its worker was lost, sends its events again.
        """
        self.events.listen(listener)

    def on_cancel(self, end: Callable[[], None] | None) -> None:
        """Set the function that ends the running task; without one (None) the task cannot be cancelled.

        The executor calls this with a function that returns at once, and that does nothing if the task has
        ended.
        """
        self._end = end

    def cancel(self) -> bool:
        """Cancel the task, and end it if it runs.

        Returns
        -------
        bool
            Whether the future is now cancelled: False if the task was already done, or if its executor cannot
            end a task that runs.
        """
        self.span.end()
        if super().cancel():
            return True
        end = self._end if os.getpid() == self._pid else None  # a fork must not end its parent's tasks
        # a CancelledError wakes the waiting threads at once; the state "cancelled" does so only later
        if end is None or not self.fail(concurrent.futures.CancelledError()):
            return self.cancelled()
        end()
        return True

    def cancelled(self) -> bool:
        """Whether the task was cancelled, before it ran or while it did."""
        if super().cancelled():
            return True
        return self.done() and isinstance(super().exception(), concurrent.futures.CancelledError)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the task (`timeout` in seconds) and return its exception; None if it succeeded.

        Raises
        ------
        concurrent.futures.CancelledError
            If the task was cancelled.
        TimeoutError
            If the task was not done in time.
        """
        error = super().exception(timeout)
        if isinstance(error, concurrent.futures.CancelledError):
            raise error
        return error


class Executor(BaseExecutor):
    """Runs tasks on workers; every executor derives from this.

    The options of an executor are keyword arguments of its constructor, which checks them all, raises before
    anything is started, and starts nothing that a task does not need yet.

    Promises that every executor keeps, and that :class:`ffnn.testing.executors.ExecutorSuite` checks:

    - A task runs on a worker, never in the thread that submits it, even with one worker; and in another process,
      unless :attr:`in_process` says that workers are threads.
    - Every future is settled, whatever happens to its worker.
    - After :meth:`shutdown` nothing is left running.
    - It is bound to the process that uses it: in a fork (``os.fork``) it takes no tasks, and ends nothing.
    """

    @abc.abstractmethod
    def _start(self, task: Task, future: Future[Any]) -> None:
        """Start a task, or queue it; return at once.

        The code that runs the task calls ``future.set_running_or_notify_cancel()`` (and drops the task on False),
        then ``future.on_cancel(...)`` if it can end the task, then ``future.settle(...)`` or ``future.fail(...)``.
        """

    def _stop(self, wait: bool) -> None:
        """Release the workers, after the last task; called once or more."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``fn(*args, **kwargs)`` on a worker.

        The arguments are pickled when a worker takes the task, not before; change them only after it is done.

        Returns
        -------
        Future
            Of the result. A task that cannot run has the reason as its exception; ``submit`` does not raise
            it.

        Raises
        ------
        RuntimeError
            After :meth:`shutdown`, or if the executor is in use by the process of which this one is a fork.
        """
        self._claim()
        future: Future[T] = Future()
        with self._open_lock:
            if self._closed:
                raise RuntimeError(f"cannot submit to a {type(self).__name__} that was shut down: make another")
            self._futures.add(future)
        future.add_done_callback(self._forget)
        self._start(Task(fn, args, kwargs), future)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks, and release the workers once the last one is done.

        Parameters
        ----------
        wait : bool, default=True
            Return only when everything has ended.
        cancel_futures : bool, default=False
            Cancel every future that is not done: what is queued never runs, and what runs is ended.
        """
        if self._is_forked:  # the threads and the workers are the parent's
            return
        with self._open_lock:
            self._closed = True
            futures = list(self._futures)
        if cancel_futures:
            for future in futures:
                future.cancel()
        if wait:
            concurrent.futures.wait([future for future in futures if not future.done()])
        self._stop(wait)

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Shut down; after an exception, cancel what is not done."""
        self.shutdown(wait=True, cancel_futures=kind is not None)

    def _claim(self) -> None:
        """Bind the executor to this process, before it starts anything.

        Raises
        ------
        RuntimeError
            If it is bound to the process of which this one is a fork.
        """
        if self._is_forked:
            raise RuntimeError(
                f"this {type(self).__name__} is in use by process {self._pid}, of which this one ({os.getpid()}) is a "
                f"fork: a fork has neither its threads nor its workers. Make another here, or start processes with "
                f"multiprocessing's 'spawn'."
            )
        self._pid = os.getpid()

    @property
    def _is_forked(self) -> bool:
        return self._pid is not None and self._pid != os.getpid()

    def _forget(self, future: concurrent.futures.Future[Any]) -> None:
        with self._open_lock:
            self._futures.discard(future)

    # made on first use, so that an author's __init__ need not call super().__init__()
    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make the executor's own state."""
        self = super().__new__(cls)
        self._open_lock = threading.RLock()
        self._futures = set()
        self._closed = False
        self._pid = None
        return self

    _open_lock: threading.RLock
    _futures: set[concurrent.futures.Future[Any]]
    _closed: bool
    _pid: int | None  # the process that uses it
