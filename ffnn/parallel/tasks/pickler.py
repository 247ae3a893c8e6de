"""Pickles a task separately from its large data, and unpickles it: see :mod:`ffnn.parallel.tasks.store`."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from types import FunctionType
from typing import Any

import cloudpickle
import numpy as np

from ffnn._utils.span import Span
from ffnn.exceptions import TaskPicklingError
from ffnn.parallel.tasks import callbacks
from ffnn.parallel.tasks.blobs import LEAST, Blob, Hashes
from ffnn.parallel.tasks.wire import Buffer

__all__ = ["BESIDE", "TaskPickler", "TaskUnpickler"]

BESIDE = 1 << 15
"""The least size in bytes of a buffer that is sent beside the pickle."""

_FEW = 8  # items; a shorter list is not checked as a whole
_SAMPLE = 32  # items from which the size of a list is estimated
_WATCHED = {str, bytes, list, tuple, np.ndarray}
_PLAIN = {str, bytes, int, float, complex, bool, type(None)}


class TaskPickler(cloudpickle.Pickler):
    """A pickler that separates an object's large data from it.

    Parameters
    ----------
    file : io.BytesIO
        The file for the pickle.
    hashes : Hashes
        The cache of hashes.
    span : Span or None, default=None
        The time during which the data of the task do not change; None means as long as `hashes` exists.

    Attributes
    ----------
    beside : list of (Blob or memoryview)
        The buffers beside the pickle, in order.
    alone : list of Blob
        The objects pickled separately, in order.
    """

    def __init__(self, file: io.BytesIO, hashes: Hashes, span: Span | None = None) -> None:
        beside: list[Blob | memoryview] = []

        def keep_apart(buffer: pickle.PickleBuffer) -> bool:
            """Return whether the buffer stays in the pickle; as a method it would keep the data alive by a cycle."""
            view = buffer.raw()
            if view.nbytes < BESIDE:
                return True
            beside.append(view if view.nbytes < LEAST else hashes.blob(buffer, span))
            return False

        super().__init__(file, protocol=5, buffer_callback=keep_apart)
        self._hashes = hashes
        self._span = span
        self._importing = frozenset() if span is None else span.importing
        self._seen: dict[int, tuple[Any, int]] = {}
        self.beside = beside
        self.alone: list[Blob] = []

    def persistent_id(self, thing: Any) -> int | None:
        """Separate large text; pickle calls this for every object, so most are rejected quickly."""
        kind = type(thing)
        if kind not in _WATCHED:
            return None
        if kind is str or kind is bytes:
            if len(thing) < LEAST:
                return None
        elif kind is list or kind is tuple:
            if len(thing) < _FEW or not _seems_large_text(thing):
                return None
        elif thing.dtype.kind != "O" or not _seems_large_text(thing.reshape(-1)):
            return None
        # by identity, as pickle does: the same list arrives as one object, equal lists as two
        if id(thing) not in self._seen:
            blob = self._hashes.pickled(thing, _is_text, self._span)
            if blob is None:
                return None
            self._seen[id(thing)] = thing, len(self.alone)
            self.alone.append(blob)
        return self._seen[id(thing)][1]

    def reducer_override(self, thing: Any) -> Any:
        """Replace an array that NumPy would copy into the pickle by one that it passes as a buffer."""
        if isinstance(thing, np.ndarray) and thing.nbytes >= LEAST and not thing.dtype.hasobject:
            kind = type(thing)
            if kind is not np.ndarray:
                if _is_a_mere_view(kind):
                    return _view, (thing.view(np.ndarray), kind)
            elif thing.dtype.kind in "mM":  # not supported by the buffer protocol
                return _view, (thing.view(np.int64), thing.dtype)
            elif not (thing.flags.c_contiguous or thing.flags.f_contiguous):
                return self._hashes.contiguous(thing, self._span).__reduce_ex__(5)
        elif self._importing and isinstance(thing, type | FunctionType):
            self._check_import(thing)
        return callbacks.reduce_address(thing) or super().reducer_override(thing)

    def _check_import(self, thing: Any) -> None:
        """Refuse an object of a module that the submitter is still importing: the task would wait for itself."""
        parts = str(thing.__module__).split(".")
        names = {".".join(parts[: n + 1]) for n in range(len(parts))}
        for name in names & self._importing:
            if not names & cloudpickle.list_registry_pickle_by_value():
                raise TaskPicklingError(
                    f"{thing.__qualname__} is of the module {thing.__module__}, and {name} is still being imported: a "
                    f"worker would import it, too, and so run this again before it runs the task. Call what submits "
                    f"tasks after the import, from a function or under if __name__ == '__main__'."
                )


class TaskUnpickler(pickle.Unpickler):
    """The unpickler for :class:`TaskPickler`.

    Parameters
    ----------
    head : buffer
        The pickle.
    beside : sequence of buffers
        The buffers beside it.
    alone : sequence of buffers
        The pickles of the objects that were pickled separately.
    """

    def __init__(self, head: Buffer, beside: Sequence[Any], alone: Sequence[Any]) -> None:
        super().__init__(io.BytesIO(head), buffers=beside)
        self._alone = alone
        self._loaded: dict[int, Any] = {}

    def persistent_load(self, number: int) -> Any:
        """Return an object that was pickled separately."""
        if number not in self._loaded:
            self._loaded[number] = pickle.loads(self._alone[number])
        return self._loaded[number]


def _seems_large_text(items: Any) -> bool:
    """Estimate whether a list, tuple or flat array holds only plain values of at least LEAST bytes in total."""
    if not len(items):
        return False
    ends = 8
    for item in (items[0], items[-1]):
        kind = type(item)
        if kind is str or kind is bytes:
            ends += len(item)
        elif not _is_plain(kind):
            return False
    if 16 * len(items) * ends < LEAST:  # a data set may hold a million short lists
        return False
    sample = items[:: 1 + len(items) // _SAMPLE]
    size = 0
    for item in sample:
        if type(item) is str or type(item) is bytes:
            size += len(item)
        elif not _is_plain(type(item)):
            return False
        size += 4  # about pickle's overhead, or the size of a number
    return size * len(items) >= LEAST * len(sample)


def _is_text(thing: Any) -> bool:
    """Return whether an object holds only plain values."""
    if isinstance(thing, str | bytes):
        return True
    return all(map(_is_plain, set(map(type, thing.flat if isinstance(thing, np.ndarray) else thing))))


def _is_plain(kind: type) -> bool:
    """Return whether values of this class are immutable and refer to no other object."""
    if kind in _PLAIN:
        return True
    if issubclass(kind, np.generic):
        return not issubclass(kind, np.void | np.object_)
    return kind.__name__ == "NAType" and kind.__module__.startswith("pandas.")


def _is_a_mere_view(kind: type) -> bool:
    """Return whether NumPy pickles a class of arrays, such as ``numpy.memmap``, so that only its data is sent."""
    return all(
        getattr(kind, name) is getattr(np.ndarray, name) for name in ("__reduce__", "__reduce_ex__", "__setstate__")
    )


def _view(array: np.ndarray, kind: Any) -> np.ndarray:
    return array.view(kind)
