"""The store of large data: each piece is sent once per host, however many tasks need it.

A search sends the same X with every task. So large data in a task (of at least :data:`LEAST` bytes), wherever it is
nested, becomes a *blob*, which is named by its content (SHA-256), and the task contains only the name:

- numeric arrays: NumPy's, and those inside SciPy's sparse arrays, data frames and other objects that pass buffers to
  pickle. They are sent without a copy (unless they are not contiguous, and copied once).
- text: long strings, and lists, tuples and object arrays of strings, bytes, numbers and None. It is pickled once.

A host keeps a folder with one file per blob: the raw bytes, under the blob's name. Files appear atomically, so an
existing file is complete; a file of the wrong size counts as missing. Workers map arrays into memory (copy on write):
all workers of a host share one copy, and a task that writes to its X changes neither the file nor another task's X.
Text cannot be mapped; each task loads its own copy.

Lists of lists and dictionaries are sent with each task, except for large data in them.

Arrays that were read-only, :class:`numpy.memmap` in mode ``"r"`` too, are read-only on the worker. Results do not
use the store.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ffnn.exceptions import ExecutorError
from ffnn.parallel.tasks.blobs import LEAST, Blob, Hashes
from ffnn.parallel.tasks.wire import Buffer

__all__ = ["LEAST", "Blob", "Hashes", "Layout", "MissingDataError", "missing", "open_blobs", "write"]

Opened: TypeAlias = mmap.mmap | bytearray
_MOST_MAPPED = 256  # per task; each needs a file descriptor, of which a process may have 1,024


class MissingDataError(ExecutorError):
    """Data that a task needs is missing from the host's store, or incomplete, and must be sent again.

    Attributes
    ----------
    names : tuple of str
        The names of the blobs.
    folder : str or None
        The store's folder; None if the worker has none.
    """

    def __init__(self, names: Sequence[str], folder: str | None = None) -> None:
        super().__init__(tuple(names), folder)
        self.names: tuple[str, ...] = tuple(names)
        self.folder = folder

    def __str__(self) -> str:
        what = ", ".join(name[:12] for name in self.names)
        if self.folder is None:
            return f"the task needs data ({what}), but its worker has no store; set FFNN_STORE to the store's folder."
        return f"the task needs data ({what}) that the store {self.folder} lacks or has only in part; ship them again."


@dataclass(frozen=True)
class Layout:
    """The blobs that a packed task needs, and their places in it: the first buffer of a task with blobs.

    Attributes
    ----------
    beside : tuple of (str or None)
        The blob's name for each buffer beside the pickle; None for a buffer that is sent with the task.
    alone : tuple of str
        The blobs of the objects that were pickled separately.
    sizes : mapping of str to int
        The size of each blob.
    """

    beside: tuple[str | None, ...]
    alone: tuple[str, ...]
    sizes: Mapping[str, int]

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        return json.dumps({"beside": self.beside, "alone": self.alone, "sizes": self.sizes}).encode()

    @classmethod
    def of(cls, buffers: Sequence[Buffer]) -> Layout | None:
        """Return the layout of a packed task; None if the task needs no blobs."""
        if bytes(buffers[0][:1]) != b"{":  # a pickle begins with another byte
            return None
        read = json.loads(bytes(buffers[0]))
        return cls(tuple(read["beside"]), tuple(read["alone"]), read["sizes"])


def missing(buffers: Sequence[Buffer], folder: str | os.PathLike[str]) -> list[str]:
    """Return the names of the blobs that a packed task needs and a folder lacks or has only in part.

    Parameters
    ----------
    buffers : sequence of buffers
        The buffers returned by :func:`ffnn.parallel.tasks.task.pack_task`.
    folder : path
        The store.

    Returns
    -------
    list of str
        Their names.
    """
    layout = Layout.of(buffers)
    if layout is None:
        return []
    return [name for name, size in layout.sizes.items() if _size(Path(folder) / name) != size]


def open_blobs(layout: Layout, folder: str | None) -> tuple[list[Opened | None], list[Opened]]:
    """Map the blobs of a task into memory, copy on write: writing to one changes nothing else.

    Returns
    -------
    beside : list of (mmap or bytearray or None)
        As in the layout.
    alone : list of (mmap or bytearray)
        As in the layout.

    Raises
    ------
    MissingDataError
        If the folder lacks any of them.
    """
    lacks: dict[str, None] = {}

    n_opened = 0

    def find(name: str) -> Opened | None:
        nonlocal n_opened
        n_opened += 1
        found = None if folder is None else _open(Path(folder) / name, layout.sizes[name], n_opened <= _MOST_MAPPED)
        if found is None:
            lacks[name] = None
        return found

    beside = [None if name is None else find(name) for name in layout.beside]
    alone = [find(name) for name in layout.alone]
    if lacks:
        raise MissingDataError(list(lacks), folder)
    return beside, [found for found in alone if found is not None]


def write(folder: str | os.PathLike[str], name: str, chunks: Iterable[Buffer]) -> None:
    """Write a blob into a store atomically, after checking its digest.

    Parameters
    ----------
    folder : path
        The store, which exists.
    name : str
        The blob's name.
    chunks : iterable of buffers
        Its bytes.

    Raises
    ------
    ValueError
        If the bytes do not match the name.
    OSError
        If they cannot be written (the disk is full).
    """
    digest = hashlib.sha256()
    descriptor, temporary = tempfile.mkstemp(prefix=".", dir=folder)
    try:
        with open(descriptor, "wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != name:
            raise ValueError(f"data arrived damaged: expected {name}, got {digest.hexdigest()}; ship them again.")
        os.replace(temporary, Path(folder) / name)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _open(path: Path, size: int, mapped: bool) -> Opened | None:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != size:
                return None
            if mapped:
                return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
            data = bytearray(size)
            return data if file.readinto(data) == size else None
    except FileNotFoundError:
        return None
