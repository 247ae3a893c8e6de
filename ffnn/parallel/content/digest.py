"""Digests of Python objects by their content, equal in every process.

What an object consists of is what pickle would store of it, with three differences. Code counts by what it computes
(:mod:`~.code`). Equal parts count as equal whether they are one object or several, and sets have no order. And what an
object keeps for speed alone (the flags of a sparse matrix) does not count.
"""

from __future__ import annotations

import copyreg
import functools
import marshal
import operator
import pickle
import types
from collections.abc import Callable
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from ffnn.parallel.content.code import CodeDigests
from ffnn.parallel.content.nodes import UnhashableError, node
from ffnn.parallel.tasks.blobs import checksum

__all__ = ["Digests"]

_ATOMS = {type(None), bool, int, float, complex, str, bytes, bytearray, type(Ellipsis), type(NotImplemented)}
_PLAIN = _ATOMS - {bytearray, type(NotImplemented)}  # that cannot be changed in place, and have a fast encoding
_ENCODING = 2  # of marshal: the last one that does not depend on which strings are one object
_LARGE = 1 << 16  # bytes of an array, from which on its digest is kept
_LONG = 64  # items of a list, likewise
_MOST_KEPT = 256  # digests

Look: TypeAlias = Callable[[Any], Callable[[], None] | None]
Attributes: TypeAlias = dict[str, Any]


class Digests:
    """Makes digests; used by one thread at a time.

    Parameters
    ----------
    keep : bool, default=False
        Whether to keep the digests of large data. A kept digest is used again only if the data is still the same: an
        array's checksum, or the identity of each item of a list of values that cannot be changed.
    counted : callable, default=None
        Returns which attributes of an object count, given the object and all of them.

    Attributes
    ----------
    code : CodeDigests
        The digests of functions, classes and modules.
    """

    def __init__(self, keep: bool = False, counted: Callable[[Any, Attributes], Attributes] | None = None) -> None:
        self.code: CodeDigests = CodeDigests(self._walk)
        self._keeps = keep
        self._counted = counted or (lambda _, attributes: attributes)
        self._kept: dict[Any, tuple[Any, bytes]] = {}
        self._path: list[int] = []
        self._memo: dict[int, tuple[Any, bytes]] = {}
        self._look: Look = lambda _: None

    def digest(self, thing: Any, look: Look | None = None) -> bytes:
        """Return the digest of an object.

        Parameters
        ----------
        thing : object
            The object.
        look : callable, optional
            Called with each object that is no plain value, before its parts; returns what to call after them, or None.

        Raises
        ------
        UnhashableError
            If it contains something that has no content.
        """
        self._path, self._memo = [], {}
        self._look = look or (lambda _: None)
        try:
            return self._walk(thing)
        except RecursionError:
            raise UnhashableError("an object that is nested too deeply") from None
        finally:
            self._path, self._memo = [], {}

    def _walk(self, thing: Any) -> bytes:
        kind = type(thing)
        if kind in _ATOMS:
            return _atom(thing)
        if id(thing) in self._memo:
            return self._memo[id(thing)][1]
        if id(thing) in self._path:
            return node("cycle", str(self._path[::-1].index(id(thing))).encode())
        self._path.append(id(thing))
        try:
            found = self._of(kind, thing)
        finally:
            self._path.pop()
        self._memo[id(thing)] = thing, found  # kept alive, so that its id is not used again
        return found

    def _of(self, kind: type, thing: Any) -> bytes:
        if kind in (list, tuple):
            return node(kind.__name__, self._items(thing, id(thing)))
        if kind is dict:
            return node("dict", self._items(list(chain.from_iterable(thing.items())), id(thing)))
        if kind in (set, frozenset):
            return node(kind.__name__, *sorted(map(self._walk, thing)))
        if kind in (np.ndarray, np.memmap):
            return self._array(thing)
        if isinstance(thing, np.generic | np.dtype):
            return node("scalar", str(thing.dtype if isinstance(thing, np.generic) else thing).encode(), _bytes(thing))
        if isinstance(thing, type):
            return self.code.type_(thing)
        leave = self._look(thing)
        try:
            return self._content(kind, thing)
        finally:
            if leave is not None:
                leave()

    def _content(self, kind: type, thing: Any) -> bytes:
        if thing is check_random_state(None):  # NumPy's own, whose state is another in every process
            return node("global random state")
        if scipy.sparse.issparse(thing):
            return self._sparse(thing)
        if isinstance(thing, BaseEstimator):
            return self._estimator(thing)
        return self._callable(thing) or self._reduced(kind, thing)

    def _items(self, items: list[Any] | tuple[Any, ...], place: Any) -> bytes:
        """Return the digest of a list, kept under its place if it is long and its items cannot be changed."""
        kept = self._kept.get(place)
        if kept is not None and len(kept[0]) == len(items) and all(map(operator.is_, kept[0], items)):
            return kept[1]
        if not set(map(type, items)) <= _PLAIN:
            return node("items", *map(self._walk, items))
        found = self._plain(items)
        if self._keeps and len(items) >= _LONG:
            self._keep(place, tuple(items), found)
        return found

    def _plain(self, items: list[Any] | tuple[Any, ...]) -> bytes:
        try:
            return node("plain items", marshal.dumps(items, _ENCODING))
        except ValueError:  # a text of more than 2 GiB
            return node("items", *map(self._walk, items))

    def _array(self, array: np.ndarray) -> bytes:
        order = "C" if array.flags.c_contiguous else "F" if array.flags.f_contiguous else "strided"
        # sums depend on the order of the memory to rounding
        head = repr((order, array.shape, array.dtype.descr if array.dtype.names else array.dtype.str)).encode()
        array = np.asarray(array)
        if array.dtype.hasobject:
            where = (array.__array_interface__["data"][0], array.shape, array.strides)
            return node("array", head, self._items(array.ravel().tolist(), where))
        flat = (array.T if order == "F" else np.ascontiguousarray(array)).reshape(-1).view(np.uint8)
        if not self._keeps or array.nbytes < _LARGE:
            return node("array", head, flat.data)
        place = (array.__array_interface__["data"][0], head)
        seen = checksum(flat.data)
        kept = self._kept.get(place)
        if kept is None or kept[0] != seen:
            kept = self._keep(place, seen, node("array", head, flat.data))
        return kept[1]

    def _keep(self, place: Any, seen: Any, found: bytes) -> tuple[Any, bytes]:
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[place] = seen, found
        return seen, found

    def _sparse(self, matrix: Any) -> bytes:
        if matrix.format in ("csr", "csc", "bsr"):
            parts: tuple[Any, ...] = (matrix.data, matrix.indices, matrix.indptr)
        else:
            other = matrix.tocoo()
            parts = (other.data, *other.coords)
        kind = f"{type(matrix).__name__} {matrix.format} {matrix.shape}"
        return node("sparse", kind.encode(), *map(self._walk, parts))

    def _estimator(self, estimator: BaseEstimator) -> bytes:
        """Return the digest of an estimator: its class and its attributes, in any order."""
        attributes = dict(sorted(self._counted(estimator, vars(estimator)).items()))
        return node("estimator", self.code.type_(type(estimator)), self._walk(attributes))

    def _callable(self, thing: Any) -> bytes | None:
        """Return the digest of a function, method or module; None if it is none of these."""
        if isinstance(thing, types.FunctionType):
            return self.code.function(thing)
        if isinstance(thing, types.ModuleType):
            return node("module", self.code.module(thing.__name__))
        if isinstance(thing, types.MethodType):
            return node("method", self._walk(thing.__func__), self._walk(thing.__self__))
        if isinstance(thing, functools.partial):
            return node("partial", *map(self._walk, (thing.func, thing.args, thing.keywords)))
        if isinstance(thing, types.BuiltinFunctionType) and isinstance(thing.__self__, types.ModuleType | None):
            return self.code.global_(thing.__module__ or "builtins", thing.__qualname__)
        if isinstance(thing, functools._lru_cache_wrapper):
            return node("cached", self._walk(thing.__wrapped__))
        return None

    def _reduced(self, kind: type, thing: Any) -> bytes:
        """Return the digest of what pickle would store of an object."""
        if kind is pickle.PickleBuffer:
            return node("buffer", thing.raw())
        reducer = copyreg.dispatch_table.get(kind)
        try:
            parts = reducer(thing) if reducer is not None else thing.__reduce_ex__(5)
        except Exception as error:  # a user's __reduce__ may raise anything
            name = f"{kind.__module__}.{kind.__qualname__}"
            raise UnhashableError(f"an object of {name}, which has no content to compare ({error})") from error
        if isinstance(parts, str):
            return self.code.global_(str(getattr(thing, "__module__", None) or kind.__module__), parts)
        function, args, state, items, pairs = (*parts, None, None, None)[:5]
        if isinstance(state, dict):
            state = self._counted(thing, state)
        content = (function, args, state, list(items or ()), list(pairs or ()))
        return node("object", *map(self._walk, content))


def _atom(value: Any) -> bytes:
    kind = type(value)
    if kind is str:
        data = value.encode("utf-8", "surrogatepass")
    elif kind is int:
        data = format(value, "x").encode()  # in decimal, Python refuses the largest
    elif kind in (bytes, bytearray):
        data = bytes(value)
    else:
        data = repr(value).encode()
    return node(kind.__name__, data)


def _bytes(thing: Any) -> bytes:
    return thing.tobytes() if isinstance(thing, np.generic) else b""
