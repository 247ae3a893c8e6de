"""Names of fits and transforms after their content: what is computed, of which parameters and data."""

from __future__ import annotations

import functools
import hashlib
import io
import pickle
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from ffnn.parallel.tasks.blobs import LEAST, Blob, Hashes
from ffnn.parallel.tasks.pickler import TaskPickler

__all__ = ["digest"]

_SIMPLE = (str, bytes, int, float, complex, bool, type(None))


def digest(thing: Any) -> str | None:
    """Return the SHA-256 of an object's content, equal in all processes; None if the object cannot be pickled.

    The code of classes and functions counts, also of those that pickle refers to by name.
    """
    file = io.BytesIO()
    pickler = _ContentPickler(file, Hashes())
    try:
        pickler.dump(thing)
    except Exception:  # a user's __reduce__ may raise anything
        return None
    content = hashlib.sha256(file.getvalue())
    for part in (*pickler.beside, *pickler.alone):
        content.update(part.name.encode() if isinstance(part, Blob) else hashlib.sha256(part).digest())
    return content.hexdigest()


class _ContentPickler(TaskPickler):
    """Writes equal bytes for equal content, where pickle's depend on the identity of strings or the order of sets."""

    def persistent_id(self, thing: Any) -> int | None:
        """Replace a string, a set or a dtype by a number; large text is named by :class:`TaskPickler`."""
        kind = type(thing)
        if kind is str:
            if len(thing) < LEAST:
                return _number(b"str", thing.encode("utf-8", "surrogatepass"))
        elif kind is set or kind is frozenset:
            return _number(kind.__name__.encode(), *sorted(_content_of(item) for item in thing))
        elif isinstance(thing, np.dtype):
            return _number(b"dtype", pickle.dumps(thing))
        return super().persistent_id(thing)

    def reducer_override(self, thing: Any) -> Any:
        """Add the code of a class or function to its name."""
        reduced = super().reducer_override(thing)
        if reduced is NotImplemented and isinstance(thing, type | FunctionType):
            code = _code_of(thing)
            if code:
                return tuple, ([thing.__module__, thing.__qualname__, code],)
        return reduced


def _content_of(item: Any) -> bytes:
    if type(item) is str:
        return b"str" + item.encode("utf-8", "surrogatepass")
    name = digest(item)
    if name is None:
        raise pickle.PicklingError(f"a set holds {item!r}, which cannot be pickled")
    return name.encode()


def _number(*parts: bytes) -> int:
    content = hashlib.sha256()
    for part in parts:
        content.update(len(part).to_bytes(8, "big"))
        content.update(part)
    return int.from_bytes(content.digest(), "big")


def _code_of(thing: type | FunctionType) -> bytes:
    """Return a digest of the code of a class with its bases, or of a function; empty if it is not written in Python.

    It is made anew each time, since the attributes of a class may be changed.
    """
    texts = list(_texts_of_class(thing) if isinstance(thing, type) else _texts(thing))
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).digest() if texts else b""


def _texts_of_class(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        for name, value in sorted(vars(base).items()):
            if not name.startswith("__") or callable(value):
                yield from (f"{name}={text}" for text in _texts(value))


def _texts(value: Any) -> Iterator[str]:
    """Yield what an attribute of a class does: its constants, and the code of functions, however they are wrapped."""
    if isinstance(value, FunctionType):
        yield _text_of_code(value.__code__)
        for default in (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()):
            yield from _texts(default) if not isinstance(default, FunctionType) else ()
        yield from _texts(getattr(value, "__wrapped__", ()))
    elif isinstance(value, staticmethod | classmethod):
        yield from _texts(value.__func__)
    elif isinstance(value, property):
        for part in (value.fget, value.fset, value.fdel):
            yield from _texts(part) if part is not None else ()
    elif isinstance(value, _SIMPLE):
        yield repr(value)
    elif isinstance(value, np.ndarray):
        yield digest(value) or ""
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, set | frozenset):
        yield from sorted(text for item in value for text in _texts(item))
    elif isinstance(value, dict):
        for item in value.items():
            yield from _texts(item)


@functools.lru_cache(maxsize=4096)
def _text_of_code(code: CodeType) -> str:
    return "\0".join(_texts_of_code(code))


def _texts_of_code(code: CodeType) -> Iterator[str]:
    yield f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {code.co_freevars}"
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield from _texts_of_code(value)
        else:
            yield str(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)
