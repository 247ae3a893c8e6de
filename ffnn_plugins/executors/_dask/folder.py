"""A folder that the Dask workers of one host share for one run: the store of the data sent to it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import socket
import stat
import tempfile
import threading
import weakref
from io import FileIO
from pathlib import Path
from typing import Any

from ffnn.exceptions import HostError

__all__ = ["REAPER", "Folder", "Incoming"]

REAPER = (
    "import fcntl, os, shutil, sys\n"
    "try:\n"
    "    lock = os.open(os.path.join(sys.argv[1], 'lock'), os.O_RDWR)\n"
    "    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    "except OSError:\n"
    "    sys.exit(0)\n"
    "shutil.rmtree(sys.argv[1], ignore_errors=True)\n"
)
"""A program that removes such a folder if no process uses it; agents run it when a worker has ended."""


class Folder:
    """The folder of a run on this host, of mode 0700; each process that uses it holds a shared lock on it.

    Parameters
    ----------
    run : str
        The name of the run.

    Attributes
    ----------
    path : str
        The folder. If all its users were killed, an agent removes it, which recognizes the name.
    data, shared : str
        The store, and the folder of what workers share.
    mark : str
        An identifier of the host and its file system: two workers with the same mark share one store.
    """

    def __init__(self, run: str) -> None:
        self.path = os.path.join(tempfile.gettempdir(), f"ffnn-{os.getuid()}-dask-{run}")
        self.data = os.path.join(self.path, "data")
        # also when a Dask worker ends normally, which does not notify tasks
        self._leave = weakref.finalize(self, _leave, self.path, self._join(), os.getpid())
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.data, 0o755)  # the parent keeps others out
        self.shared = os.path.join(self.path, "shared")
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.shared)
        found = os.stat(self.path)
        self.mark = f"{socket.gethostname()}:{found.st_dev}:{found.st_ino}"

    def release(self) -> None:
        """Release the folder; the last user removes it."""
        self._leave()

    def _join(self) -> int:
        """Create the folder if necessary, and lock it against removal."""
        while True:
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.path, 0o700)
            found = os.lstat(self.path)
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
                raise HostError(f"{self.path} belongs to another user, or is accessible to others; remove it.")
            file = os.path.join(self.path, "lock")
            try:
                lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:  # the last user has just removed it
                continue
            fcntl.flock(lock, fcntl.LOCK_SH)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(file), os.fstat(lock)):
                    return lock
            os.close(lock)


def _leave(path: str, lock: int, pid: int) -> None:
    if os.getpid() != pid:  # a fork of the process that uses the folder
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return  # others still use it
    else:
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)


class Incoming:
    """Assembles pieces of data in a store, where a file appears once it is complete.

    Parameters
    ----------
    folder : str
        The store.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._lock = threading.Lock()
        self._open: dict[str, tuple[FileIO, Any]] = {}

    def take(self, name: str, start: int, piece: bytes, size: int) -> None:
        """Append the next piece.

        Parameters
        ----------
        name : str
            The SHA-256 of the whole, its name in the store.
        start : int
            The position of the piece.
        piece : bytes
            The piece.
        size : int
            The size of the whole.
        """
        with self._lock:
            if start == 0:
                self._drop(name)
                file = (self._folder / f".{name}.{os.getpid()}").open("wb", buffering=0)
                self._open[name] = file, hashlib.sha256()
            file, digest = self._open[name]
            try:
                if file.tell() != start:
                    raise ValueError(f"a piece of data at {start} does not follow what ended at {file.tell()}")
                digest.update(piece)
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]
                if start + len(piece) < size:
                    return
                if digest.hexdigest() != name:
                    raise ValueError(f"data arrived damaged: expected {name}, got {digest.hexdigest()}")
                os.rename(file.name, self._folder / name)
            except BaseException:
                self._drop(name)
                raise
            self._open.pop(name)[0].close()

    def _drop(self, name: str) -> None:
        """Discard an incomplete upload."""
        file, _ = self._open.pop(name, (None, None))
        if file is not None:
            with contextlib.suppress(OSError):
                os.unlink(file.name)
            file.close()
