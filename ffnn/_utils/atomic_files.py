"""Files and folders that are, at any moment, the old one or the whole new one."""

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
        The place; a symbolic link stands for what it leads to.
    pipes : bool, default=False
        Whether a pipe is allowed.

    Raises
    ------
    OSError
        If there is such a thing.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        kind = stat.S_IFMT(os.stat(path).st_mode)
        if kind in _KINDS and not (pipes and kind == stat.S_IFIFO):
            raise OSError(f"{path} is {_KINDS[kind]}; expected a regular file, or a name that is free. Name another.")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write a file or a folder to, which then takes the place of another one.

    The path that is yielded has the same name, in a hidden folder beside the place. Where writing fails, nothing is
    left of it. A folder that is there already is moved into the hidden folder first, as no system call replaces one.

    What a writer that was killed has left beside the place is removed, or moved back if it was about to be replaced.

    Parameters
    ----------
    path : Path
        The place, not a symbolic link.

    Raises
    ------
    FileNotFoundError
        If its folder does not exist.
    OSError
        If there is a device, a pipe or a socket, or if the place cannot be written to.
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
        # the user knows the place, not the hidden folder
        raise OSError(error.errno, error.strerror, str(path)) from error


def _move(new: Path, old: Path, path: Path) -> None:
    """Move what was written to its place, and a folder that is there out of the way."""
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
    """Have what was written reach the disk, so that a crash of the machine leaves no empty file in its place."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- the hidden folder: its lock is held as long as its writer lives


@contextmanager
def _hidden_folder(parent: Path) -> Iterator[Path]:
    """Make a folder in another, locked against those who sweep, and remove it at the end."""
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
    # where a network's disk does not share locks, a lock says nothing of writers on other machines
    if not folder.name.startswith(f"{_PREFIX}{_machine()}-") and time.time() - found.st_mtime < _DAY:
        return
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        folder.rmdir()  # fails if there is anything in it
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
    """Lock a file; None where its disk has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove(folder: Path) -> None:
    """Remove a hidden folder, its lock last, so that what is left of it after a kill can be swept."""
    for part in ("new", "old"):
        try:
            os.rmdir(folder / part)  # mostly empty, or not there
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
