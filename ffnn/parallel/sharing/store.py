"""Stores of what has been computed: each piece once, whoever needs it, and no more than fits.

All who need a piece at the same time wait for the one that computes it. If that one fails or dies, the next takes its
place. A piece that must not be shared is noted, so that nobody waits for it again.
"""

from __future__ import annotations

import abc
import collections
import contextlib
import fcntl
import mmap
import os
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ffnn.exceptions import TaskPicklingError
from ffnn.parallel.tasks.task import pack, unpack
from ffnn.parallel.tasks.wire import Buffer

__all__ = ["FolderStore", "MemoryStore", "Store", "current_store", "use_store"]

T = TypeVar("T")

_ALIGNMENT = 64  # bytes; of arrays in a file
_LEAST_SIZE = 1 << 12  # bytes that a file counts, however small
_IN_PROCESS = 1 << 30  # bytes that the store of a process may keep
_COUNT = struct.Struct("!Q")


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
        with contextlib.suppress(TaskPicklingError):
            if found:
                return unpack(found, "a fitted transformer"), True
        return make()[0], False

    def _keep(self, name: str, value: Any, shareable: bool) -> bool:
        """Store a value, or the note that it is not shared; return whether it was stored."""
        buffers: Sequence[Buffer] = ()
        if shareable:
            with contextlib.suppress(TaskPicklingError):
                buffers = pack(value, "a fitted transformer")
        if sum(map(len, buffers)) > self.limit:
            buffers = ()
        self._write(name, buffers)
        return bool(buffers)

    @abc.abstractmethod
    def _find(self, name: str) -> Sequence[Buffer] | None:
        """Return the buffers of a pickle, which the caller may change; empty if it is not shared, None if unknown."""

    @abc.abstractmethod
    def _write(self, name: str, buffers: Sequence[Buffer]) -> None:
        """Store the buffers of a pickle if there is room, and drop what was used least recently."""

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
        self._values: collections.OrderedDict[str, list[bytes]] = collections.OrderedDict()
        self._busy: dict[str, tuple[threading.Lock, int]] = {}
        self._size = 0

    def _find(self, name: str) -> Sequence[Buffer] | None:
        with self._lock:
            found = self._values.get(name)
            if found is None:
                return None
            self._values.move_to_end(name)
        return [bytearray(buffer) for buffer in found]

    def _write(self, name: str, buffers: Sequence[Buffer]) -> None:
        copies = [bytes(buffer) for buffer in buffers]
        with self._lock:
            self._values[name] = copies
            self._size += _counted(copies)
            while self._size > self.limit and len(self._values) > 1:
                self._size -= _counted(self._values.popitem(last=False)[1])

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

    def _find(self, name: str) -> Sequence[Buffer] | None:
        path = self._folder / name
        try:
            os.utime(path)  # it is used now
            with path.open("rb") as file:
                if not os.fstat(file.fileno()).st_size:
                    return []
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
        return found

    def _write(self, name: str, buffers: Sequence[Buffer]) -> None:
        part = self._folder / f"{name}.part"
        sizes = [len(buffer) for buffer in buffers]
        head = _COUNT.pack(len(sizes)) + struct.pack(f"!{len(sizes)}Q", *sizes) if buffers else b""
        try:
            self._make_room(_counted(buffers))
            with part.open("wb") as file:
                file.write(head)
                for buffer in buffers:
                    file.write(bytes(-file.tell() % _ALIGNMENT))
                    file.write(buffer)
            part.replace(self._folder / name)
        except OSError:  # the disk is full: who needs it next computes it
            with contextlib.suppress(OSError):
                part.unlink()

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


def _counted(buffers: Sequence[Buffer]) -> int:
    return max(sum(map(len, buffers)), _LEAST_SIZE)


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
