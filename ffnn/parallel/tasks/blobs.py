"""Blobs, named after their content, and the cache of their hashes: see :mod:`ffnn.parallel.tasks.store`."""

from __future__ import annotations

import collections
import contextlib
import contextvars
import hashlib
import pickle
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ffnn._utils.span import Span
from ffnn.parallel.tasks.wire import Buffer

__all__ = ["LEAST", "Blob", "Hashes", "checksum"]

T = TypeVar("T")
_Key: TypeAlias = tuple[Any, ...]

LEAST = 1 << 18
"""The least size in bytes of data that becomes a blob.

Measured: 256 KiB take 0.25 ms through a pipe and 20 ms over 100 Mbit/s, each time; as a blob 0.15 ms of hashing and
0.3 ms of writing, once, and then 0.03 ms a task.
"""
_MOST_HELD = 1 << 30  # bytes that the cache alone may keep alive
_COLUMNS = 512  # the columns of the table whose sums are a buffer's checksum


@dataclass(frozen=True)
class Blob:
    """A piece of data that is sent separately from the tasks that use it.

    Attributes
    ----------
    name : str
        The SHA-256 of its bytes, in hexadecimal.
    size : int
        The number of bytes.
    data : memoryview
        The bytes, in their place in memory; not compared for equality.
    """

    name: str
    size: int
    data: memoryview = field(repr=False, compare=False)


@dataclass
class _Entry:
    """An entry of the cache: a value computed from some data, its size, and the spans of the tasks that use them.

    Tasks may be packed in several threads, in another order than they were submitted, and end in any order. So the span
    of each task that may still run is kept. Without spans the data never change.
    """

    value: Any
    size: int
    spans: list[Span] | None
    checksum: bytes | None = None

    def is_good_for(self, span: Span | None) -> bool:
        """Return whether the data cannot have changed since; it may have, between two tasks that do not overlap."""
        if self.spans is None:
            return True
        return span is not None and any(known.covers_start_of(span) for known in self.spans)

    def use_for(self, span: Span | None) -> None:
        """Record that a task with this span uses the data."""
        if span is not None:
            self.spans = [*(known for known in self.spans or () if not known.has_ended), span]


class Hashes:
    """A cache of hashes and pickles by identity, so that data shared by many tasks is processed once.

    The same memory may hold other data later. Callers must not change a task's data between its submission and its end,
    but may do so before and after. So an entry is used again only if a task that used it was not done when this one was
    submitted: then the data cannot have changed since the entry was made. This always holds in a search; if
    tasks run strictly one after the other, the data are hashed for each.

    Each call of joblib's ``Parallel`` has its own cache, so that it does not depend on changes to other calls' data. If
    a call returns a generator, its caller goes on while tasks run, and may change the data too early by mistake; the
    cache of such a call is `watchful`, and checks the data again. Several threads may use a cache.

    An address identifies data only while the data are alive. Arrays have weak references, so that the cache does not
    keep them alive; other data are kept alive, up to the gigabyte that was used last.

    Parameters
    ----------
    watchful : bool, default=False
        Whether to compare a checksum before an entry is used again; entries without a checksum are made anew.
    """

    def __init__(self, watchful: bool = False) -> None:
        self._watchful = watchful
        self._lock = threading.RLock()  # finalizers may pack tasks, too
        self._watched: dict[_Key, tuple[weakref.ref[Any], _Entry]] = {}
        self._gone: collections.deque[tuple[_Key, weakref.ref[Any]]] = collections.deque()
        self._held: collections.OrderedDict[_Key, tuple[Any, _Entry]] = collections.OrderedDict()
        self._n_held = 0

    @classmethod
    def of_call(cls) -> Hashes:
        """Return the cache of the call that is submitting a task, or a new one outside of calls."""
        return _of_call.get() or cls()

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Share this cache among the tasks submitted within the context."""
        token = _of_call.set(self)
        try:
            yield
        finally:
            _of_call.reset(token)

    def blob(self, data: Buffer | pickle.PickleBuffer, span: Span | None = None) -> Blob:
        """Return the blob of a buffer, which must be contiguous; `span` is that of the task that needs it."""
        view = data.raw() if isinstance(data, pickle.PickleBuffer) else memoryview(data).cast("B")
        address = np.frombuffer(view, np.uint8).__array_interface__["data"][0]
        seen = checksum(view) if self._watchful else None
        name = self._once(("bytes", address, view.nbytes), view.obj, view.nbytes, lambda: _name(view), span, seen)
        return Blob(name, view.nbytes, view)

    def pickled(self, thing: Any, suits: Callable[[Any], bool], span: Span | None = None) -> Blob | None:
        """Return the blob of an object that is pickled separately; None if it is too small."""

        def make() -> Blob | None:
            if not suits(thing):
                return None
            data = memoryview(pickle.dumps(thing, protocol=5))
            return Blob(_name(data), data.nbytes, data)

        return self._once(("pickle", *_identity(thing)), thing, lambda blob: blob.size if blob else 0, make, span)

    def contiguous(self, array: np.ndarray, span: Span | None = None) -> np.ndarray:
        """Return a contiguous copy of an array."""
        key = ("copy", *_identity(array))
        return self._once(key, array, array.nbytes, lambda: np.ascontiguousarray(array), span)

    def clear(self) -> None:
        """Clear the cache."""
        with self._lock:
            self._watched.clear()
            self._held.clear()
            self._n_held = 0

    def _once(
        self,
        key: _Key,
        owner: Any,
        size: int | Callable[[T], int],
        make: Callable[[], T],
        span: Span | None,
        checksum: bytes | None = None,
    ) -> T:
        """Return a value computed once while its owner lives and does not change."""
        # one thread at a time, since the others probably need the same value
        with self._lock:
            self._forget_the_dead()
            known = self._find(key)
            looked = not self._watchful or checksum is not None
            if known is not None and looked and known.checksum == checksum and known.is_good_for(span):
                known.use_for(span)
                return known.value  # type: ignore[no-any-return]  # what make() made
            value = make()
            spans = None if span is None else [span]
            self._keep(key, owner, _Entry(value, size if isinstance(size, int) else size(value), spans, checksum))
            return value

    def _find(self, key: _Key) -> _Entry | None:
        if key in self._watched:
            return self._watched[key][1]
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key][1]
        return None

    def _keep(self, key: _Key, owner: Any, made: _Entry) -> None:
        root = _root(owner)
        if isinstance(root, np.ndarray):
            # only takes a note, since it runs in the thread that drops the array, which may hold the lock
            watch = weakref.ref(root, lambda ref: self._gone.append((key, ref)))
            self._watched[key] = watch, made
            return
        if key in self._held:
            self._n_held -= self._held.pop(key)[1].size
        self._held[key] = owner, made
        self._n_held += made.size
        while self._n_held > _MOST_HELD and len(self._held) > 1:
            self._n_held -= self._held.popitem(last=False)[1][1].size

    def _forget_the_dead(self) -> None:
        while self._gone:
            key, watch = self._gone.popleft()
            if key in self._watched and self._watched[key][0] is watch:
                del self._watched[key]


_of_call: contextvars.ContextVar[Hashes | None] = contextvars.ContextVar("ffnn_hashes_of_call", default=None)


def _name(data: Buffer) -> str:
    # with SHA instructions twice as fast as BLAKE2; other threads run meanwhile
    return hashlib.sha256(data).hexdigest()


def checksum(data: Buffer) -> bytes:
    """Return the sums over rows and columns of a buffer seen as a table, ten times as fast as its name."""
    n_words = len(data) // 8
    n_rows = n_words // _COLUMNS
    table = np.frombuffer(data, np.uint64, n_rows * _COLUMNS).reshape(n_rows, _COLUMNS)
    rest = bytes(data[table.nbytes :])
    return hashlib.sha256(table.sum(axis=0).tobytes() + table.sum(axis=1).tobytes() + rest).digest()


def _root(owner: Any) -> Any:
    """Return the array that an array's memory belongs to."""
    while isinstance(owner, np.ndarray) and isinstance(owner.base, np.ndarray):
        owner = owner.base
    return owner


def _identity(thing: Any) -> _Key:
    if isinstance(thing, np.ndarray):
        return thing.__array_interface__["data"][0], thing.shape, thing.strides, thing.dtype.str
    return (id(thing),)
