"""The agent's folder on its host, and the store of data in it."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import shutil
import tempfile
import time
from typing import Any

STALE = 60.0  # seconds after which a folder that nobody locks is a leftover


class Folder:
    """A folder of mode 0700, locked as long as its agent lives; ``data`` in it is the store.

    Parameters
    ----------
    supervisor : str
        The source of the program under which commands run.
    """

    def __init__(self) -> None:
        prefix = os.path.join(tempfile.gettempdir(), f"ffnn-{os.getuid()}-")
        _sweep(prefix)
        self.path = tempfile.mkdtemp(prefix=os.path.basename(prefix))
        self._lock = os.open(os.path.join(self.path, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.data = os.path.join(self.path, "data")
        os.mkdir(self.data)
        os.chmod(self.data, 0o755)  # nobody else gets past its parent; a container is shown it alone
        self.supervisor = os.path.join(self.path, "supervisor.py")

    def drop(self, name: str) -> None:
        """Forget a piece of data."""
        with contextlib.suppress(OSError):
            os.unlink(os.path.join(self.data, os.path.basename(name)))

    def remove(self) -> None:
        """Leave nothing."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


class Piece:
    """A piece of data on its way into the store, where it appears when it is whole.

    Attributes
    ----------
    error : str or None
        Why it could not be stored.
    """

    def __init__(self, folder: Folder, name: str, size: int) -> None:
        self._path = os.path.join(folder.data, os.path.basename(name))
        self._left = size
        self._file: Any = None
        self.error: str | None = None
        try:
            self._file = open(self._path + ".part", "wb", buffering=0)  # noqa: SIM115 - closed when it is whole
        except OSError as error:
            self._give_up(error)

    @property
    def whole(self) -> bool:
        """Whether all of it has come."""
        return self._left <= 0

    def write(self, data: bytes) -> None:
        """Take what has come."""
        self._left -= len(data)
        if self._file is None:
            return
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            if self.whole:
                self._file.close()
                os.chmod(self._path + ".part", 0o444)
                os.rename(self._path + ".part", self._path)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.error = f"{error.strerror} ({self._path})"
        if self._file is not None:
            self._file.close()
            self._file = None
        with contextlib.suppress(OSError):
            os.unlink(self._path + ".part")


def _sweep(prefix: str) -> None:
    """Remove what agents left that were killed."""
    for folder in glob.glob(prefix + "*"):
        with contextlib.suppress(OSError):
            lock = os.open(os.path.join(folder, "lock"), os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if time.time() - os.fstat(lock).st_mtime > STALE:
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
