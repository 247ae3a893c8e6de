"""Atomic replacement of files and folders."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["check_kind", "replacing"]

_PREFIX: Final = ".ffnn-"
_DAY: Final = 86400.0
_KINDS: Final = {
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def check_kind(path: Path, *, pipes: bool = False) -> None:
    """Refuse a device, a socket and, unless they are allowed, a pipe.

    Parameters
    ----------
    path : Path
        The path; symbolic links are followed.
    pipes : bool, default=False
        Whether a pipe is allowed.

    Raises
    ------
    OSError
        If the path is one of these.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        kind = stat.S_IFMT(os.stat(path).st_mode)
        if kind in _KINDS and not (pipes and kind == stat.S_IFIFO):
            raise OSError(f"{path} is {_KINDS[kind]}; expected a regular file, or a name that is free. Name another.")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write a file or a folder to, which then replaces ``path`` atomically.

    The yielded path has the same name, in a hidden folder beside ``path``. If writing fails, it is removed. An existing
    folder is moved into the hidden folder first, since no system call replaces one.

    Files left by a writer that was killed are removed, or moved back if they were about to be replaced.

    Parameters
    ----------
    path : Path
        The path to replace, not a symbolic link.

    Raises
    ------
    FileNotFoundError
        If its folder does not exist.
    OSError
        If it is a device, a pipe or a socket, or cannot be written to.
    """
    check_kind(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}. Make it first.")
    _sweep(path.parent)
    try:
        with _hidden_folder(path.parent) as hidden:
            new, old = (hidden / part / path.name for part in ("new", "old"))
            new.parent.mkdir()
            yield new
            _move(new, old, path)
    except OSError as error:
        named = error.filename is None or _PREFIX in str(error.filename)
        if error.errno is None or error.strerror is None or not named:
            raise
        # report the user's path, not the hidden folder
        raise OSError(error.errno, error.strerror, str(path)) from error


def _move(new: Path, old: Path, path: Path) -> None:
    """Move the new file to its path, and an existing folder out of the way."""
    for written in [new, *new.rglob("*")]:
        _sync(written)
    check_kind(path)
    if path.is_dir():
        old.parent.mkdir()
        os.replace(path, old)
    elif path.exists():
        os.chmod(new, stat.S_IMODE(path.stat().st_mode))
    try:
        os.replace(new, path)
    except BaseException:
        if old.exists() and not path.exists():
            os.replace(old, path)
        raise


def _sync(path: Path) -> None:
    """Flush to disk, so that a crash of the machine does not leave an empty file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- the hidden folder, which is locked as long as its writer lives


@contextmanager
def _hidden_folder(parent: Path) -> Iterator[Path]:
    """Make a folder that is locked against sweeping, and remove it at the end."""
    while True:
        folder = parent / f"{_PREFIX}{_machine()}-{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700)
        try:
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # swept before it was locked
            continue
        except BaseException:
            folder.rmdir()
            raise
        try:
            if _lock(lock) is False or os.fstat(lock).st_nlink == 0:  # it is being swept, or was
                continue
            try:
                yield folder
            finally:
                _remove(folder)
            return
        finally:
            os.close(lock)


def _sweep(parent: Path) -> None:
    """Remove the hidden folders of writers that are dead."""
    with contextlib.suppress(OSError):
        for name in os.listdir(parent):
            if name.startswith(_PREFIX):
                with contextlib.suppress(OSError):
                    _sweep_one(parent / name)


def _sweep_one(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return
    # network file systems may not share locks, so a lock does not protect writers on other machines
    if not folder.name.startswith(f"{_PREFIX}{_machine()}-") and time.time() - found.st_mtime < _DAY:
        return
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        folder.rmdir()  # fails unless it is empty
        return
    try:
        if not _lock(lock):
            return
        for old in (folder / "old").glob("*"):
            place = folder.parent / old.name
            if not os.path.lexists(place):
                os.rename(old, place)
        _remove(folder)
    finally:
        os.close(lock)


def _lock(descriptor: int) -> bool | None:
    """Lock a file and return whether it worked; None if its file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove(folder: Path) -> None:
    """Remove a hidden folder, its lock last, so that the rest can be swept if the process is killed."""
    for part in ("new", "old"):
        try:
            os.rmdir(folder / part)  # usually empty or missing
        except FileNotFoundError:
            continue
        except OSError:
            shutil.rmtree(folder / part, ignore_errors=True)
    with contextlib.suppress(OSError):
        (folder / "lock").unlink()
        folder.rmdir()


@functools.cache
def _machine() -> str:
    """Return a name for this start of this machine; containers on it have the same, as they share its locks."""
    try:
        name = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        name = socket.gethostname()
    return hashlib.sha256(name.encode()).hexdigest()[:8]
