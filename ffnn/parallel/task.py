"""The envelope of a task: a call as bytes on its way to a worker, and what became of it on its way back.

Functions and classes of ``__main__`` or a notebook travel by value (cloudpickle). Large arrays travel beside
the pickle (protocol 5), so that nobody copies them.
"""

from __future__ import annotations

import pickle
import struct
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import cloudpickle

from ffnn.exceptions import TaskFailedError, TaskPicklingError
from ffnn.executor import Task
from ffnn.parallel.wire import Buffer, Kind, Message

__all__ = ["RemoteTraceback", "open_outcome", "pack", "run_packed", "unpack"]

_BESIDE = 1 << 15  # bytes from which a buffer travels beside the pickle
_SECONDS = struct.Struct("!d")


class RemoteTraceback(Exception):
    """The cause of an exception that was raised on a worker: its traceback there, as text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"on the worker:\n\n{self.text}"


def pack(thing: Any, what: str) -> list[Buffer]:
    """Pickle anything, its large buffers apart.

    Parameters
    ----------
    thing : object
        What to pickle.
    what : str
        What to call it if it cannot be pickled.

    Raises
    ------
    TaskPicklingError
        If it cannot be pickled.
    """
    buffers: list[Buffer] = []

    def keep_apart(buffer: pickle.PickleBuffer) -> bool:
        """Return whether the buffer stays in the pickle."""
        view = buffer.raw()
        if view.nbytes < _BESIDE:
            return True
        buffers.append(view)
        return False

    try:
        head = cloudpickle.dumps(thing, protocol=5, buffer_callback=keep_apart)
    except Exception as error:  # a stranger's __reduce__ may raise anything
        raise TaskPicklingError(
            f"{what} cannot be pickled, so it cannot travel between processes: {_line(error)}. "
            f"Leave out what belongs to one process (locks, open files, generators, connections)."
        ) from error
    return [head, *buffers]


def unpack(buffers: Sequence[Buffer], what: str) -> Any:
    """Undo :func:`pack`.

    Raises
    ------
    TaskPicklingError
        If it cannot be unpickled here.
    """
    try:
        return pickle.loads(buffers[0], buffers=buffers[1:])
    except Exception as error:  # a stranger's __setstate__ may raise anything
        raise TaskPicklingError(
            f"{what} cannot be unpickled: {_line(error)}. What travels must be importable on both sides."
        ) from error


def run_packed(buffers: Sequence[Buffer]) -> Message:
    """Run a packed :class:`~ffnn.executor.Task` (on the worker) and pack what became of it; never raise."""
    start = time.perf_counter()
    name = "the task"
    try:
        task: Task = unpack(buffers, "the task")
        name = task.name
        start = time.perf_counter()  # the time of the task itself
        result = task()
        seconds = time.perf_counter() - start
        return Kind.RESULT, [_SECONDS.pack(seconds), *pack(result, f"the result of {name}")]
    except BaseException as error:
        seconds = time.perf_counter() - start
        return Kind.ERROR, [_SECONDS.pack(seconds), *_pack_error(error, name)]


def open_outcome(message: Message, name: str) -> tuple[float, Callable[[], Any]]:
    """Open what came back: the seconds that the task ran, and a function that returns or raises."""
    kind, (head, *buffers) = message
    (seconds,) = _SECONDS.unpack(head)
    what = unpack(buffers, f"the {'result' if kind is Kind.RESULT else 'exception'} of {name}")
    if kind is Kind.RESULT:
        return seconds, lambda: what
    error, text = what
    error.__cause__ = RemoteTraceback(text)

    def fail() -> Any:
        raise error

    return seconds, fail


def _pack_error(error: BaseException, name: str) -> list[Buffer]:
    # the frames of this module say nothing to the user
    text = "".join(traceback.format_exception(error.with_traceback(_skip(error.__traceback__))))
    if not isinstance(error, Exception):
        error = TaskFailedError(f"{name} raised {_line(error)}, which would end the process that receives it")
    error.__traceback__ = None
    try:
        buffers = pack((error, text), f"the exception of {name}")
        unpack(buffers, f"the exception of {name}")  # many an exception can be pickled, but not back
    except TaskPicklingError as reason:
        stand_in = TaskFailedError(f"{name} raised {_line(error)} (which cannot travel: {reason.__cause__})")
        buffers = pack((stand_in, text), f"the exception of {name}")
    return buffers


def _skip(trace: Any) -> Any:
    while trace is not None and trace.tb_frame.f_code.co_filename in (
        __file__,
        Task.__call__.__code__.co_filename,
    ):
        trace = trace.tb_next
    return trace


def _line(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # a stranger's __str__
        text = "(its message cannot be shown)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
