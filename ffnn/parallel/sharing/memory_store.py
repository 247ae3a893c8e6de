"""A store in the memory of one process."""

from __future__ import annotations

import collections
import contextlib
import io
import os
import pickle
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

from ffnn.parallel.sharing.store import LEAST_SIZE, Store

__all__ = ["MemoryStore", "Pickled", "current_store", "use_store"]

_LIMIT = 1 << 30  # bytes that a process keeps
_NOT_COPIED = (type, FunctionType, ModuleType)


@dataclass(frozen=True)
class Pickled:
    """A pickle that this process alone can load: classes, functions and modules are the same objects again.

    Attributes
    ----------
    buffers : sequence of buffers
        The pickle, and the arrays beside it.
    references : sequence of objects
        What is not copied.
    """

    buffers: Sequence[bytes] = ()
    references: Sequence[Any] = ()

    @classmethod
    def of(cls, value: Any) -> Pickled:
        """Pickle a value."""
        file = io.BytesIO()
        pickler = _Pickler(file)
        pickler.dump(value)
        return cls((file.getvalue(), *pickler.beside), tuple(pickler.references))

    @property
    def size(self) -> int:
        """The number of bytes."""
        return sum(map(len, self.buffers))

    def load(self) -> Any:
        """Return a copy of the value."""
        return _Unpickler(self).load()


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        self.beside: list[bytes] = []
        self.references: list[Any] = []
        super().__init__(file, protocol=5, buffer_callback=lambda buffer: self.beside.append(bytes(buffer.raw())))

    def persistent_id(self, thing: Any) -> int | None:
        if not isinstance(thing, _NOT_COPIED):
            return None
        self.references.append(thing)
        return len(self.references) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, pickled: Pickled) -> None:
        head, *beside = pickled.buffers
        super().__init__(io.BytesIO(head), buffers=map(bytearray, beside))
        self._references = pickled.references

    def persistent_load(self, number: int) -> Any:
        return self._references[number]


class MemoryStore(Store):
    """A store in the memory of this process, for its threads. Each use of a value makes a copy."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self._reset()
        os.register_at_fork(after_in_child=self._reset)  # a thread that the fork lacks may hold a lock

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._values: collections.OrderedDict[str, Pickled] = collections.OrderedDict()
        self._busy: dict[str, tuple[threading.Lock, int]] = {}
        self._size = 0

    def _find(self, name: str) -> tuple[Any, bool] | None:
        with self._lock:
            found = self._values.get(name)
            if found is None:
                return None
            self._values.move_to_end(name)
        if not found.buffers:
            return None, False
        try:
            return found.load(), True
        except Exception:  # a user's __setstate__ may raise anything
            return None, False

    def _keep(self, name: str, value: Any, shareable: bool) -> bool:
        pickled = Pickled()
        if shareable:
            with contextlib.suppress(Exception):  # a user's __reduce__ may raise anything
                pickled = Pickled.of(value)
        if pickled.size > self.limit:
            pickled = Pickled()
        with self._lock:
            self._values[name] = pickled
            self._size += max(pickled.size, LEAST_SIZE)
            while self._size > self.limit:
                self._size -= max(self._values.popitem(last=False)[1].size, LEAST_SIZE)
        return bool(pickled.buffers)

    @contextlib.contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        with self._lock:
            lock, n_users = self._busy.get(name, (threading.Lock(), 0))
            self._busy[name] = lock, n_users + 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, n_users = self._busy.pop(name)
                if n_users > 1:
                    self._busy[name] = lock, n_users - 1


_of_process = MemoryStore(_LIMIT)
_current: Store = _of_process


def current_store() -> Store:
    """Return the store of the task that this process runs; that of the process outside a task with a store."""
    return _current


@contextlib.contextmanager
def use_store(store: Store) -> Iterator[None]:
    """Use a store in this process, in all of its threads, as long as the context lasts."""
    global _current
    before, _current = _current, store
    try:
        yield
    finally:
        _current = before
