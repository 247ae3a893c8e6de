"""Stores of what has been computed: each piece once, whoever needs it, and no more than fits.

All who need a piece at the same time wait for the one that computes it. If that one fails or dies, the next takes its
place. A piece that must not be shared is noted, so that nobody waits for it again.
"""

from __future__ import annotations

import abc
import collections
import contextlib
import fcntl
import io
import mmap
import os
import pickle
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeVar

from ffnn.exceptions import TaskPicklingError
from ffnn.parallel.tasks.task import pack, unpack
from ffnn.parallel.tasks.wire import Buffer

__all__ = ["FolderStore", "MemoryStore", "Pickled", "Store", "current_store", "use_store"]

T = TypeVar("T")

_ALIGNMENT = 64  # bytes; of arrays in a file
_LEAST_SIZE = 1 << 12  # bytes that a file counts, however small
_IN_PROCESS = 1 << 30  # bytes that the store of a process may keep
_NOT_COPIED = (type, FunctionType, ModuleType)
_COUNT = struct.Struct("!Q")


@dataclass(frozen=True)
class Pickled:
    """A pickle that this process alone can load: classes, functions and modules are the same objects again.

    Attributes
    ----------
    buffers : sequence of buffers
        The pickle, and the arrays beside it.
    references : sequence of objects
        What is not copied.
    """

    buffers: Sequence[bytes] = ()
    references: Sequence[Any] = ()

    @classmethod
    def of(cls, value: Any) -> Pickled:
        """Pickle a value."""
        beside: list[bytes] = []
        references: list[Any] = []

        def keep_apart(buffer: pickle.PickleBuffer) -> None:
            beside.append(bytes(buffer.raw()))

        def refer(thing: Any) -> int | None:
            if not isinstance(thing, _NOT_COPIED):
                return None
            references.append(thing)
            return len(references) - 1

        file = io.BytesIO()
        pickler = pickle.Pickler(file, protocol=5, buffer_callback=keep_apart)
        pickler.persistent_id = refer  # type: ignore[method-assign]
        pickler.dump(value)
        return cls((file.getvalue(), *beside), tuple(references))

    @property
    def size(self) -> int:
        """The number of bytes."""
        return sum(map(len, self.buffers))

    def load(self) -> Any:
        """Return a copy of the value."""
        unpickler = pickle.Unpickler(io.BytesIO(self.buffers[0]), buffers=map(bytearray, self.buffers[1:]))
        unpickler.persistent_load = self.references.__getitem__  # type: ignore[method-assign]
        return unpickler.load()


class Store(abc.ABC):
    """Keeps pickled values by name, up to a number of bytes; those that were used last stay.

    Parameters
    ----------
    limit : int
        The most bytes that are kept.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def get(self, name: str, make: Callable[[], tuple[T, bool]]) -> tuple[T, bool]:
        """Return a value, computed if the store lacks it, and whether others may share it.

        Parameters
        ----------
        name : str
            The name of the value, after its content.
        make : callable
            Computes the value; returns it, and whether it may be shared.
        """
        found = self._find(name)
        if found is None:
            with self._alone(name):
                found = self._find(name)
                if found is None:
                    value, shareable = make()
                    return value, self._keep(name, value, shareable)
        return found if found[1] else (make()[0], False)

    @abc.abstractmethod
    def _find(self, name: str) -> tuple[Any, bool] | None:
        """Return a copy of a value and True; None and False if it is not shared; None if the store lacks it."""

    @abc.abstractmethod
    def _keep(self, name: str, value: Any, shareable: bool) -> bool:
        """Store a value or the note that it is not shared, drop what was used least recently; return if it is kept."""

    @abc.abstractmethod
    def _alone(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Let one at a time compute a value."""


class MemoryStore(Store):
    """A store in the memory of this process, for its threads. Each use of a value makes a copy."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._reset()
        os.register_at_fork(after_in_child=self._reset)  # a thread that the fork lacks may hold a lock

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._values: collections.OrderedDict[str, Pickled] = collections.OrderedDict()
        self._busy: dict[str, tuple[threading.Lock, int]] = {}
        self._size = 0

    def _find(self, name: str) -> tuple[Any, bool] | None:
        with self._lock:
            found = self._values.get(name)
            if found is None:
                return None
            self._values.move_to_end(name)
        return (found.load(), True) if found.buffers else (None, False)

    def _keep(self, name: str, value: Any, shareable: bool) -> bool:
        pickled = Pickled()
        if shareable:
            with contextlib.suppress(Exception):  # a user's __reduce__ may raise anything
                pickled = Pickled.of(value)
        if pickled.size > self.limit:
            pickled = Pickled()
        with self._lock:
            self._values[name] = pickled
            self._size += max(pickled.size, _LEAST_SIZE)
            while self._size > self.limit:
                self._size -= max(self._values.popitem(last=False)[1].size, _LEAST_SIZE)
        return bool(pickled.buffers)

    @contextlib.contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        with self._lock:
            lock, n_users = self._busy.get(name, (threading.Lock(), 0))
            self._busy[name] = lock, n_users + 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, n_users = self._busy.pop(name)
                if n_users > 1:
                    self._busy[name] = lock, n_users - 1


class FolderStore(Store):
    """A store in a folder that several processes use. Arrays are mapped into memory, copy on write.

    A file appears whole or not at all. Locks are the system's own (``flock``), which ends them with their process.

    Parameters
    ----------
    folder : path
        The folder, which exists.
    limit : int
        The most bytes that its files may have.
    """

    def __init__(self, folder: str | os.PathLike[str], limit: int) -> None:
        super().__init__(limit)
        self._folder = Path(folder)

    def _find(self, name: str) -> tuple[Any, bool] | None:
        path = self._folder / name
        try:
            os.utime(path)  # it is used now
            with path.open("rb") as file:
                if not os.fstat(file.fileno()).st_size:
                    return None, False
                view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
        except OSError:  # there is none, or it was dropped just now
            return None
        (count,) = _COUNT.unpack_from(view)
        sizes = struct.unpack_from(f"!{count}Q", view, _COUNT.size)
        found, start = [], _COUNT.size * (1 + count)
        for size in sizes:
            start += -start % _ALIGNMENT
            found.append(view[start : start + size])
            start += size
        try:
            return unpack(found, "a fitted transformer"), True
        except TaskPicklingError:
            return None, False

    def _keep(self, name: str, value: Any, shareable: bool) -> bool:
        buffers: Sequence[Buffer] = ()
        if shareable:
            with contextlib.suppress(TaskPicklingError):
                buffers = pack(value, "a fitted transformer")
        if sum(map(len, buffers)) > self.limit:
            buffers = ()
        part = self._folder / f"{name}.part"
        sizes = list(map(len, buffers))
        head = _COUNT.pack(len(sizes)) + struct.pack(f"!{len(sizes)}Q", *sizes) if buffers else b""
        try:
            self._make_room(max(sum(sizes), _LEAST_SIZE))
            with part.open("wb") as file:
                file.write(head)
                for buffer in buffers:
                    file.write(bytes(-file.tell() % _ALIGNMENT))
                    file.write(buffer)
            part.replace(self._folder / name)
        except OSError:  # the disk is full: who needs it next computes it
            with contextlib.suppress(OSError):
                part.unlink()
            return False
        return bool(buffers)

    def _make_room(self, size: int) -> None:
        files = []
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):  # another process drops files, too
                if path.suffix != ".lock":
                    state = path.stat()
                    files.append((state.st_mtime_ns, max(state.st_size, _LEAST_SIZE), path))
        size += sum(one for _, one, _ in files)
        for _, one, path in sorted(files):
            if size <= self.limit:
                return
            with contextlib.suppress(OSError):
                path.unlink()  # who has mapped it keeps it
            size -= one

    @contextlib.contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        path = self._folder / f"{name}.lock"
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):  # without a lock, several compute it
                lock = _lock(path)
                stack.callback(os.close, lock)
                stack.callback(path.unlink, missing_ok=True)
            yield


def _lock(path: Path) -> int:
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.samestat(os.stat(path), os.fstat(lock)):
                return lock
        except FileNotFoundError:  # the last one has removed it
            pass
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


_of_process = MemoryStore(_IN_PROCESS)
_current: Store = _of_process


def current_store() -> Store:
    """Return the store of the task that this process runs; that of the process outside a task with a store."""
    return _current


@contextlib.contextmanager
def use_store(store: Store) -> Iterator[None]:
    """Use a store in this process, in all of its threads, as long as the context lasts."""
    global _current
    before, _current = _current, store
    try:
        yield
    finally:
        _current = before
