"""A store in a folder of a host."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ffnn.exceptions import TaskPicklingError
from ffnn.parallel.sharing.store import LEAST_SIZE, Store
from ffnn.parallel.tasks import exchange
from ffnn.parallel.tasks.task import pack, unpack
from ffnn.parallel.tasks.wire import Buffer

__all__ = ["FolderStore"]

_ALIGNMENT = 64  # bytes; of arrays in a file
_COUNT = struct.Struct("!Q")
_RATE = 10_000_000  # bytes a second that are sent between hosts at least, as over 100 Mbit/s


class FolderStore(Store):
    """A store in a folder that several processes use. Arrays are mapped into memory, copy on write.

    A file appears whole or not at all. Locks are the system's own (``flock``), which ends them with their process.

    In a worker, what this host lacks may come from another one, and what is computed here goes to the others, if that
    takes less time than to compute it again.

    Parameters
    ----------
    folder : path
        The folder, which exists.
    limit : int
        The most bytes that its files may have; half of what is free on the disk, if that is less.
    """

    def __init__(self, folder: str | os.PathLike[str], limit: int) -> None:
        super().__init__(limit)
        self._folder = Path(folder)
        self._wanted: set[str] = set()  # what other hosts wait for while it is computed

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
        sizes = list(map(len, buffers))
        head = _COUNT.pack(len(sizes)) + struct.pack(f"!{len(sizes)}Q", *sizes) if buffers else b""
        return self._write(name, [head, *buffers]) and bool(buffers)

    def _write(self, name: str, pieces: Sequence[Buffer]) -> bool:
        """Write a file of pieces, each of which is aligned; return whether there was room."""
        part = self._folder / f"{name}.part"
        try:
            self._make_room(max(sum(map(len, pieces)), LEAST_SIZE))
            with part.open("wb") as file:
                for piece in pieces:
                    file.write(bytes(-file.tell() % _ALIGNMENT))
                    file.write(piece)
            part.replace(self._folder / name)
        except OSError:  # the disk is full: who needs it next computes it
            with contextlib.suppress(OSError):
                part.unlink()
            return False
        return True

    def _fetch(self, name: str) -> tuple[Any, bool] | None:
        data, wanted = exchange.ask(name)
        if wanted:
            self._wanted.add(name)
        if data is None or len(data) > self.limit or not self._write(name, [data]):
            return None
        return self._find(name)

    def _offer(self, name: str, seconds: float) -> None:
        if name not in self._wanted:
            return
        self._wanted.discard(name)
        data = None
        with contextlib.suppress(OSError, ValueError):  # it was dropped just now
            path = self._folder / name  # an empty one tells the others that it must not be shared
            if path.stat().st_size <= seconds * _RATE:
                data = path.read_bytes()
        exchange.tell(name, data)

    def _make_room(self, size: int) -> None:
        """Drop what was used least recently, until there is room for so many bytes."""
        files = []
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):  # another process drops files, too
                if path.suffix != ".lock":
                    state = path.stat()
                    files.append((state.st_mtime_ns, max(state.st_size, LEAST_SIZE), path))
        kept = sum(one for _, one, _ in files)
        disk = os.statvfs(self._folder)
        limit = min(self.limit, kept + disk.f_bavail * disk.f_frsize // 2)  # the data of tasks need room, too
        for _, one, path in sorted(files):
            if kept + size <= limit:
                return
            with contextlib.suppress(OSError):
                path.unlink()  # who has mapped it keeps it
            kept -= one

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
