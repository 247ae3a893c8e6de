"""Log files of the workers' standard error, on this machine."""

from __future__ import annotations

import collections
import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from ffnn.parallel.words import size_in_words

__all__ = ["Logs"]

_MOST = 16 << 20  # bytes of one worker's log file; the previous file of that size is kept


class Logs:
    """A folder with one log file per worker, created with the first output.

    Parameters
    ----------
    folder : path or None
        The folder; None is a temporary folder that :meth:`close` removes.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._given = folder is not None
        self._folder = None if folder is None else Path(folder).absolute()
        self._lock = threading.Lock()
        self._closed = False
        self._n_dropped: collections.Counter[str] = collections.Counter()  # bytes, for each worker

    def writer(self, worker: str) -> Callable[[bytes], None]:
        """Return a function that appends to a worker's log."""

        def write(data: bytes) -> None:
            with self._lock:
                if not self._closed:
                    with contextlib.suppress(OSError):  # a full disk must not stop a worker
                        self._write(worker, data)

        return write

    def read(self, worker: str) -> str:
        """Return a worker's log."""
        if self._folder is None:
            return ""
        new = self._path(self._folder, worker)
        old = Path(f"{new}.1")
        return "".join(path.read_text(errors="replace") for path in (old, new) if path.exists())

    def close(self) -> None:
        """Stop writing; remove the folder if it is temporary."""
        with self._lock:
            self._closed = True
            if self._folder is not None and not self._given:
                shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, worker: str, data: bytes) -> None:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="ffnn-logs-"))
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(self._folder, worker)
        with path.open("ab") as file:
            file.write(data)
            full = file.tell() > _MOST
        if full:
            self._rotate(worker, path, Path(f"{path}.1"))

    def _rotate(self, worker: str, path: Path, old: Path) -> None:
        """Start a new file; keep the full one, and drop the one before it."""
        if old.exists():
            self._n_dropped[worker] += old.stat().st_size
        path.replace(old)
        if dropped := self._n_dropped[worker]:
            line = f"[ffnn: this goes on from {old.name}; {size_in_words(dropped)} before that are dropped]\n"
            path.write_text(line)

    @staticmethod
    def _path(folder: Path, worker: str) -> Path:
        return folder / f"{worker.replace('/', '_')}.log"
