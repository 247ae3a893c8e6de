"""The agent's folder on its host, with the store of the data that clients send."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import os
import shutil
import tempfile
import time
from typing import Any

CHANGED = "the data changed while it was sent"  # the error of data that does not match its name
STALE = 60.0  # seconds after which an unlocked folder is a leftover


class Folder:
    """A folder of mode 0700, locked as long as its agent lives; ``data`` in it is the store.

    Workers share what they compute in ``shared``.

    Attributes
    ----------
    path, data : str
        The folder, and the store in it.
    supervisor : str
        The path of the program under which commands run.
    """

    def __init__(self) -> None:
        prefix = os.path.join(tempfile.gettempdir(), f"ffnn-{os.getuid()}-")
        _sweep(prefix)
        self.path: str = tempfile.mkdtemp(prefix=os.path.basename(prefix))
        self._lock = os.open(os.path.join(self.path, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.data: str = os.path.join(self.path, "data")
        os.mkdir(self.data)
        os.chmod(self.data, 0o755)  # the parent folder keeps others out; containers mount only this one
        shared = os.path.join(self.path, "shared")
        os.mkdir(shared)
        os.chmod(shared, 0o777)  # a container's account is another one, which the parent keeps out elsewhere
        self.supervisor: str = os.path.join(self.path, "supervisor.py")

    def drop(self, name: str) -> None:
        """Delete data from the store."""
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self.data, os.path.basename(name)))

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


class Upload:
    """An upload to the store: the file appears under its name once it is complete and matches its digest.

    Parameters
    ----------
    folder : Folder
        The agent's folder.
    name : str
        The file's name. If it is a SHA-256 in hexadecimal, as clients send it, the content must have that digest.
    size : int
        The number of bytes.

    Attributes
    ----------
    error : str or None
        Why the data could not be stored: a message of the system, or :data:`CHANGED`.
    """

    def __init__(self, folder: Folder, name: str, size: int) -> None:
        self._name = os.path.basename(name)
        self._path = os.path.join(folder.data, self._name)
        self._digest = hashlib.sha256()
        self._left = size
        self._file: Any = None
        self.error: str | None = None
        try:
            self._file = open(self._path + ".part", "wb", buffering=0)  # noqa: SIM115 - closed when it is complete
        except OSError as error:
            self._discard(_describe(error, self._path))

    @property
    def complete(self) -> bool:
        """Whether all bytes have arrived."""
        return self._left <= 0

    def write(self, data: bytes) -> None:
        """Append bytes; rename the file once it is complete."""
        self._left -= len(data)
        if self._file is None:
            return
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            self._digest.update(data)
            if self.complete:
                if _is_digest(self._name) and self._digest.hexdigest() != self._name:
                    self._discard(CHANGED)
                    return
                self._file.close()
                os.chmod(self._path + ".part", 0o444)
                os.rename(self._path + ".part", self._path)
        except OSError as error:
            self._discard(_describe(error, self._path))

    def _discard(self, error: str) -> None:
        self.error = error
        if self._file is not None:
            self._file.close()
            self._file = None
        with contextlib.suppress(OSError):
            os.unlink(self._path + ".part")


def _describe(error: OSError, path: str) -> str:
    return f"{error.strerror} ({path})"


def _is_digest(name: str) -> bool:
    return len(name) == 64 and not set(name) - set("0123456789abcdef")


def _sweep(prefix: str) -> None:
    """Remove the folders of agents that were killed."""
    for folder in glob.glob(prefix + "*"):
        with contextlib.suppress(OSError):
            lock = os.open(os.path.join(folder, "lock"), os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - os.fstat(lock).st_mtime > STALE:
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
