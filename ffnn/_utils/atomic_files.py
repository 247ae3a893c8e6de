"""Files and folders that are, at any moment, the old one or the whole new one."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside another, to write a file or a folder to, which then takes the place of that other one.

    The path that is yielded has the same suffix. Where writing fails, nothing is left of it. A folder that is there
    already is moved away first, as no system call replaces one: after a crash between the two moves it lies beside its
    place, under a hidden name.

    Parameters
    ----------
    path : Path
        The place, not a symbolic link.

    Raises
    ------
    FileNotFoundError
        If its folder does not exist.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {path.parent}. Make it first.")
    beside, before = (path.with_name(f".{path.stem[:150]}.{secrets.token_hex(8)}{path.suffix[:20]}") for _ in range(2))
    try:
        yield beside
        if path.is_dir():
            os.replace(path, before)
        elif path.exists():
            os.chmod(beside, stat.S_IMODE(path.stat().st_mode))
        for written in [beside, *beside.rglob("*")]:
            _sync(written)
        os.replace(beside, path)
    except BaseException:
        if before.exists() and not path.exists():
            os.replace(before, path)
        _remove(beside)
        raise
    _remove(before)


def _sync(path: Path) -> None:
    """Have what was written reach the disk, so that a crash of the machine leaves no empty file in its place."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
