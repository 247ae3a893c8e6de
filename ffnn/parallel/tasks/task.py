"""Packing a task for a worker, running it there, and unpacking its result or exception.

Functions and classes of ``__main__`` or a notebook are sent by value (cloudpickle). Large arrays are sent beside the
pickle (protocol 5) without a copy; the largest are put into a store (:mod:`ffnn.parallel.tasks.store`), and the task
contains their names.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ffnn._utils.span import Span
from ffnn.exceptions import TaskFailedError, TaskPicklingError
from ffnn.executor import Future, Task
from ffnn.parallel.tasks import callbacks
from ffnn.parallel.tasks.engines import EngineImporter
from ffnn.parallel.tasks.pickler import BESIDE, TaskPickler, TaskUnpickler
from ffnn.parallel.tasks.store import Blob, Hashes, Layout, open_blobs
from ffnn.parallel.tasks.time_limit import working_time
from ffnn.parallel.tasks.wire import Buffer, Kind, Message

__all__ = [
    "Packed",
    "RemoteTraceback",
    "open_outcome",
    "pack",
    "pack_task",
    "run_packed",
    "settle",
    "unpack",
    "without_frames",
]

_SECONDS = struct.Struct("!d")
_importer = EngineImporter()


@dataclass(frozen=True)
class Packed:
    """A packed task: the buffers of its message and the blobs that it needs.

    Attributes
    ----------
    buffers : list of buffers
        The buffers of the message to the worker.
    blobs : tuple of Blob
        The data that the worker's store must have before.
    """

    buffers: list[Buffer]
    blobs: tuple[Blob, ...] = ()


class RemoteTraceback(Exception):
    """The traceback of an exception on a worker, as text; the cause of the exception here."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"on the worker:\n\n{self.text}"


def pack(thing: Any, what: str) -> list[Buffer]:
    """Pickle an object with its large buffers out of band.

    Parameters
    ----------
    thing : object
        The object to pickle.
    what : str
        The name used in the error if it cannot be pickled.

    Raises
    ------
    TaskPicklingError
        If it cannot be pickled.
    """
    buffers: list[Buffer] = []

    def keep_apart(buffer: pickle.PickleBuffer) -> bool:
        """Return whether the buffer stays in the pickle."""
        view = buffer.raw()
        if view.nbytes < BESIDE:
            return True
        buffers.append(view)
        return False

    try:
        head = callbacks.dumps(thing, keep_apart)
    except Exception as error:  # a user's __reduce__ may raise anything
        raise _cannot_be_pickled(what, error) from error
    return [head, *buffers]


def pack_task(task: Task, what: str, hashes: Hashes, span: Span | None = None) -> Packed:
    """Pickle a task with its large data as separate blobs (see :mod:`ffnn.parallel.tasks.store`).

    Parameters
    ----------
    task : Task
        The task.
    what : str
        The name used in the error if it cannot be pickled.
    hashes : Hashes
        The cache of hashes.
    span : Span or None, default=None
        The span of the task's future, during which its data do not change; None means that they never change.

    Raises
    ------
    TaskPicklingError
        If it cannot be pickled.
    """
    file = io.BytesIO()
    pickler = TaskPickler(file, hashes, span)
    try:
        pickler.dump(task)
    except TaskPicklingError:
        raise
    except Exception as error:  # a user's __reduce__ may raise anything
        raise _cannot_be_pickled(what, error) from error
    beside = pickler.beside
    blobs = {blob.name: blob for blob in [*beside, *pickler.alone] if isinstance(blob, Blob)}
    buffers: list[Buffer] = [file.getvalue(), *(buffer for buffer in beside if not isinstance(buffer, Blob))]
    if blobs:
        layout = Layout(
            tuple(buffer.name if isinstance(buffer, Blob) else None for buffer in beside),
            tuple(blob.name for blob in pickler.alone),
            {blob.name: blob.size for blob in blobs.values()},
        )
        buffers.insert(0, layout.to_bytes())
    return Packed(buffers, tuple(blobs.values()))


def unpack(buffers: Sequence[Buffer], what: str) -> Any:
    """Undo :func:`pack`.

    Raises
    ------
    TaskPicklingError
        If it cannot be unpickled here.
    """
    try:
        return pickle.loads(buffers[0], buffers=buffers[1:])
    except Exception as error:  # a user's __setstate__ may raise anything
        raise _cannot_be_unpickled(what, error) from error


def run_packed(buffers: Sequence[Buffer], store: str | None = None) -> Message:
    """Run a packed :class:`~ffnn.executor.Task` on the worker and pack its result or exception.

    It raises nothing, except in a process that the task forked, which must not answer and has to end.

    Parameters
    ----------
    buffers : sequence of buffers
        The task, packed by :func:`pack_task`.
    store : str, optional
        The folder of the blobs; by default that of the environment variable ``FFNN_STORE``. If it lacks any, a
        :class:`~ffnn.parallel.tasks.store.MissingDataError` is the outcome of the task.
    """
    start, pid = working_time(), os.getpid()
    name = "the task"
    try:
        task = _open_task(buffers, store or os.environ.get("FFNN_STORE"))
        name = task.name
        _importer.look_at(task)
        start = working_time()  # the time of the task itself
        result = task()
        if os.getpid() != pid:
            raise SystemExit(0)
        seconds = working_time() - start
        return Kind.RESULT, [_SECONDS.pack(seconds), *pack(result, f"the result of {name}")]
    except BaseException as error:
        if os.getpid() != pid:
            raise
        seconds = working_time() - start
        return Kind.ERROR, [_SECONDS.pack(seconds), *_pack_error(error, name)]


def open_outcome(message: Message, name: str) -> tuple[float, Callable[[], Any]]:
    """Return the seconds that a task ran, and a function that returns its result or raises its exception."""
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


def settle(future: Future[Any], name: str, message: Message) -> None:
    """Settle a task's future with the result or exception in a worker's message."""
    try:
        future.seconds, open_result = open_outcome(message, name)
        result = open_result()
    except BaseException as error:
        failure = without_frames(error)
    else:
        future.settle(result)
        return
    future.fail(failure)  # outside `except`, so that it is not the context of errors in callbacks


def without_frames(error: BaseException) -> BaseException:
    """Return an error without the frames of this thread, which would keep a task's arguments alive."""
    if error.__suppress_context__:
        error.__context__ = None
    return error.with_traceback(None)


def _open_task(buffers: Sequence[Buffer], folder: str | None) -> Task:
    layout = Layout.of(buffers)
    if layout is None:
        return unpack(buffers, "the task")  # type: ignore[no-any-return]  # what was packed
    found, alone = open_blobs(layout, folder)
    inline = iter(buffers[2:])
    beside = [next(inline) if data is None else data for data in found]
    try:
        return TaskUnpickler(buffers[1], beside, alone).load()  # type: ignore[no-any-return]  # what was packed
    except Exception as error:  # a user's __setstate__ may raise anything
        raise _cannot_be_unpickled("the task", error) from error


def _cannot_be_unpickled(what: str, error: Exception) -> TaskPicklingError:
    remedy = "Its functions and classes must be importable on both sides."
    if isinstance(error, ModuleNotFoundError) and error.name:
        remedy += (
            f" Install {error.name} where the workers run, or let its code travel with the task: "
            f"import {error.name}, and cloudpickle.register_pickle_by_value({error.name})."
        )
    return TaskPicklingError(f"{what} cannot be unpickled: {_line(error)}. {remedy}")


def _cannot_be_pickled(what: str, error: Exception) -> TaskPicklingError:
    return TaskPicklingError(
        f"{what} cannot be pickled, so it cannot travel between processes: {_line(error)}. "
        f"Leave out what belongs to one process (locks, open files, generators, connections)."
    )


def _pack_error(error: BaseException, name: str) -> list[Buffer]:
    # hide the frames of this module from the user
    text = "".join(traceback.format_exception(error.with_traceback(_skip(error.__traceback__))))
    if not isinstance(error, Exception):
        error = TaskFailedError(f"{name} raised {_line(error)}, which would end the process that receives it")
    error.__traceback__ = None
    try:
        buffers = pack((error, text), f"the exception of {name}")
        unpack(buffers, f"the exception of {name}")  # some exceptions can be pickled but not unpickled
    except TaskPicklingError as reason:
        substitute = TaskFailedError(
            f"{name} raised {_line(error)} (the exception itself cannot be pickled: {reason.__cause__})"
        )
        buffers = pack((substitute, text), f"the exception of {name}")
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
    except Exception:  # a user's __str__ may raise anything
        text = "(its message cannot be shown)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
