"""The durable store of a journal: the folder, the file of this process, and the index of what is recorded."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ffnn._version import __version__
from ffnn.exceptions import JournalError
from ffnn.parallel.journal.records import Record, encode, read_payload, scan

__all__ = ["PRUNED", "SUFFIX", "VERSION", "JournalFolder", "Store"]

VERSION = 1
"""The version of the records' meaning; a later one is refused."""
SUFFIX = ".journal"
PRUNED = ":pruned"
"""Ends the key of a fit that was stopped, whose whole result may be recorded under the key without it."""
_PATIENCE = 2.0  # seconds


class JournalFolder:
    """Reads the records of a journal, also while others write.

    Parameters
    ----------
    path : Path
        The folder.
    any_owner : bool, default=False
        Whether to read what belongs to other users, for a reader that unpickles nothing.

    Attributes
    ----------
    n_damaged : int
        The number of damaged stretches met so far.
    """

    def __init__(self, path: Path, *, any_owner: bool = False) -> None:
        self.path = path
        self._any_owner = any_owner
        self.n_damaged: int = 0
        self._ends: dict[str, int] = {}  # up to where each file was read

    def check(self) -> None:
        """Refuse what is no journal, or must not be read.

        Raises
        ------
        JournalError
            If it is no folder, holds other files but no journal, or belongs to another user.
        """
        try:
            found = os.stat(self.path)
            names = os.listdir(self.path)
        except NotADirectoryError:
            raise JournalError(
                f"journal={str(self.path)!r} is a file; expected a folder, or a name that is free. Name a folder."
            ) from None
        except OSError as error:
            raise JournalError(f"journal={str(self.path)!r} cannot be read: {error.strerror}. Name another.") from error
        self._check_owner(self.path, found)
        visible = [name for name in names if not name.startswith(".")]
        if visible and not any(name.endswith(SUFFIX) for name in visible):
            raise JournalError(
                f"journal={str(self.path)!r} is a folder of other files ({', '.join(sorted(visible)[:3])}); expected a "
                f"journal or an empty folder. Name a folder that ffnn may make."
            )

    def new_records(self, skip: str | None = None) -> Iterator[tuple[str, Record]]:
        """Yield the records that were added since the last call, each with the name of its file.

        Parameters
        ----------
        skip : str, optional
            The name of a file to leave out.

        Raises
        ------
        JournalError
            If a file is from a later version of ffnn, or belongs to another user.
        OSError
            If the folder cannot be read.
        """
        with os.scandir(self.path) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(SUFFIX) and entry.name != skip)
        for name in names:
            yield from self._new_in(name)

    def payload(self, name: str, record: Record) -> bytes | None:
        """Return a record's payload; None if it is damaged or gone."""
        try:
            file = os.open(self.path / name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            return read_payload(file, record)
        finally:
            os.close(file)

    def _new_in(self, name: str) -> Iterator[tuple[str, Record]]:
        path = self.path / name
        start = self._ends.get(name, 0)
        try:
            found = os.stat(path)
            if found.st_size <= start:
                return
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            self._check_owner(path, found)
            for record in scan(file, start):
                if isinstance(record, int):
                    self.n_damaged += 1
                    start += record
                    continue
                start = record.end
                self._check_version(path, record)
                self._ends[name] = start
                yield name, record
        finally:
            self._ends[name] = start
            os.close(file)

    def _check_version(self, path: Path, record: Record) -> None:
        version = record.meta.get("version", VERSION)
        if version != VERSION:
            raise JournalError(
                f"{path} is of version {version!r} of the journal, written by ffnn {record.meta.get('ffnn', '?')}; "
                f"ffnn {__version__} reads version {VERSION}. Use the ffnn that wrote it, or another folder."
            )

    def _check_owner(self, path: Path, found: os.stat_result) -> None:
        if found.st_uid != os.geteuid() and not self._any_owner:
            raise JournalError(
                f"{path} belongs to another user (uid {found.st_uid}, not {os.geteuid()}): what is recorded there "
                f"would run as code of yours. Name a folder of your own."
            )


class Store:
    """Finds and adds records of results; several processes may do so in one folder, and any thread.

    Parameters
    ----------
    path : Path
        The folder, which is made if necessary.

    Raises
    ------
    JournalError
        If the folder cannot be used, or written to.
    """

    def __init__(self, path: Path) -> None:
        self._file = -1
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError:
            pass  # a file: check() says so
        except OSError as error:
            raise JournalError(f"journal={str(path)!r} cannot be made: {error.strerror}. Name another.") from error
        self._folder = JournalFolder(path)
        self._folder.check()
        self._lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._n_written = self._n_synced = 0
        self._index: dict[str, list[tuple[str, Record]]] = {}
        host = socket.gethostname().partition(".")[0]
        started = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        self._name = f"{started}-{host}-{os.getpid()}-{secrets.token_hex(3)}{SUFFIX}"
        try:
            self._refresh()
            self._begin(path / self._name, host)
        except OSError as error:
            raise JournalError(
                f"journal={str(path)!r} cannot be written to: {error.strerror}. Name a folder that you may write to, "
                f"on a disk with room."
            ) from error

    def find(self, key: str) -> bytes | None:
        """Return the payload of what is recorded under a key; None if there is none, or if it is damaged."""
        with self._lock, contextlib.suppress(OSError):
            if key not in self._index:
                self._refresh()
            places = self._index.pop(key, [])
            while places:
                payload = self._folder.payload(*places[-1])
                if payload is not None:
                    self._index[key] = places
                    return payload
                places.pop()  # damaged; it may be recorded again elsewhere
        return None

    def add(self, meta: dict[str, Any], payload: bytes = b"") -> None:
        """Add a record and return when it is on disk; a result that is recorded already is not added again.

        Raises
        ------
        OSError
            If it cannot be written. The file is then as it was.
        """
        with self._lock, self._other_processes_wait():
            if meta.get("reusable"):
                self._refresh()
                if meta["key"] in self._index:
                    return
            record = self._append(meta, payload)
            if meta.get("reusable"):
                self._index[meta["key"]] = [(self._name, _place(record))]
            n = self._n_written
        self._sync(n)

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)

    def _begin(self, path: Path, host: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        session = {"kind": "session", "version": VERSION, "ffnn": __version__, "host": host, "pid": os.getpid()}
        try:
            self._append({**session, "started": time.time()})
            os.fsync(self._file)
        except OSError:
            path.unlink()
            raise
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _append(self, meta: dict[str, Any], payload: bytes = b"") -> Record:
        start = os.fstat(self._file).st_size
        data, record = encode(meta, payload, start)
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, start)
            raise
        self._n_written += 1
        return record

    def _sync(self, n: int) -> None:
        """Return when the first `n` records are on disk; one thread writes for all that wait."""
        with self._sync_lock:
            if self._n_synced < n:
                written = self._n_written
                os.fdatasync(self._file)
                self._n_synced = written

    def _refresh(self) -> None:
        for name, record in self._folder.new_records(skip=self._name):
            if record.meta.get("reusable"):
                self._index.setdefault(record.meta["key"], []).append((name, _place(record)))

    @contextlib.contextmanager
    def _other_processes_wait(self) -> Iterator[None]:
        """Hold the folder's lock for a moment.

        Nobody waits for ever for a process that was stopped while it held it, and some file systems have no locks: then
        a result may be recorded twice, which does no harm.
        """
        lock = os.open(self._folder.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            until = time.monotonic() + _PATIENCE
            while time.monotonic() < until:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(0.0005)
                except OSError:
                    break
            yield
        finally:
            os.close(lock)


def _place(record: Record) -> Record:
    """Return a record without what it says, which need not stay in memory."""
    return dataclasses.replace(record, meta={})
