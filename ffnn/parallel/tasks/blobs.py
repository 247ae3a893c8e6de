"""What is named after its content: see :mod:`ffnn.parallel.tasks.store`."""

from __future__ import annotations

import collections
import hashlib
import pickle
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ffnn.parallel.tasks.wire import Buffer

__all__ = ["LEAST", "Blob", "Hashes"]

T = TypeVar("T")
_Key: TypeAlias = tuple[Any, ...]

LEAST = 1 << 18
"""Bytes from which data becomes a blob.

Measured: 256 KiB take 0.25 ms through a pipe and 20 ms over 100 Mbit/s, each time; as a blob 0.15 ms of hashing and
0.3 ms of writing, once, and then 0.03 ms a task.
"""
_MOST_HELD = 1 << 30  # bytes of what only the cache may keep alive


@dataclass(frozen=True)
class Blob:
    """A piece of data that travels apart from the tasks that use it.

    Attributes
    ----------
    name : str
        The SHA-256 of its bytes, in hexadecimal.
    size : int
        The number of bytes.
    data : memoryview
        The bytes, where they lie; not part of equality.
    """

    name: str
    size: int
    data: memoryview = field(repr=False, compare=False)


class Hashes:
    """What was hashed and pickled already, by identity: so that it is done once, however many tasks share it.

    One such cache is valid for one call of joblib's ``Parallel``: between calls, data may be changed in place.
    It may be used by several threads.

    An address names the same data only while these live. An array is watched (weakly), so that the cache keeps no
    array alive that a task alone needed; everything else is kept alive, up to a gigabyte of what was used last.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a finalizer may pack, too
        self._watched: dict[_Key, tuple[weakref.ref[Any], Any]] = {}
        self._gone: collections.deque[tuple[_Key, weakref.ref[Any]]] = collections.deque()
        self._held: collections.OrderedDict[_Key, tuple[Any, Any, int]] = collections.OrderedDict()
        self._n_held = 0

    def blob(self, data: Buffer | pickle.PickleBuffer) -> Blob:
        """Return the blob of a buffer, which must be contiguous."""
        view = data.raw() if isinstance(data, pickle.PickleBuffer) else memoryview(data).cast("B")
        address = np.frombuffer(view, np.uint8).__array_interface__["data"][0]
        name = self._once(("bytes", address, view.nbytes), view.obj, view.nbytes, lambda: _name(view))
        return Blob(name, view.nbytes, view)

    def pickled(self, thing: Any, suits: Callable[[Any], bool]) -> Blob | None:
        """Return the blob of something that is pickled on its own, if that suits it."""

        def make() -> Blob | None:
            if not suits(thing):
                return None
            data = memoryview(pickle.dumps(thing, protocol=5))
            return Blob(_name(data), data.nbytes, data)

        return self._once(("pickle", *_identity(thing)), thing, lambda blob: blob.size if blob else 0, make)

    def contiguous(self, array: np.ndarray) -> np.ndarray:
        """Return a contiguous copy of an array."""
        key = ("copy", *_identity(array))
        return self._once(key, array, array.nbytes, lambda: np.ascontiguousarray(array))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._watched.clear()
            self._held.clear()
            self._n_held = 0

    def _once(self, key: _Key, owner: Any, size: int | Callable[[T], int], make: Callable[[], T]) -> T:
        """Make something once while its owner lives."""
        # one at a time: whoever waits most likely waits for the very same
        with self._lock:
            self._forget_the_dead()
            if key in self._watched:
                return self._watched[key][1]  # type: ignore[no-any-return]  # what make() made
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key][1]  # type: ignore[no-any-return]  # what make() made
            made = make()
            root = _root(owner)
            if isinstance(root, np.ndarray):
                # runs in whatever thread drops the array, perhaps one that has the lock: so no more than a note
                watch = weakref.ref(root, lambda ref: self._gone.append((key, ref)))
                self._watched[key] = watch, made
            else:
                count = size if isinstance(size, int) else size(made)
                self._held[key] = owner, made, count
                self._n_held += count
                while self._n_held > _MOST_HELD and len(self._held) > 1:
                    self._n_held -= self._held.popitem(last=False)[1][2]
            return made

    def _forget_the_dead(self) -> None:
        while self._gone:
            key, watch = self._gone.popleft()
            if key in self._watched and self._watched[key][0] is watch:
                del self._watched[key]


def _name(data: Buffer) -> str:
    return hashlib.sha256(data).hexdigest()  # twice as fast as BLAKE2 where the processor helps; lets others run


def _root(owner: Any) -> Any:
    """Return the array that an array's memory belongs to."""
    while isinstance(owner, np.ndarray) and isinstance(owner.base, np.ndarray):
        owner = owner.base
    return owner


def _identity(thing: Any) -> _Key:
    if isinstance(thing, np.ndarray):
        return thing.__array_interface__["data"][0], thing.shape, thing.strides, thing.dtype.str
    return (id(thing),)
