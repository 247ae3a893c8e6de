"""Reads values from the JSON and arrays that :mod:`ffnn.persistence.values` writes.

Reading calls no function and imports no module that the file names: objects are instances of classes of ffnn or of
registered plugins, found by name, and their parameters are plain values or such objects. Memory and time are
proportional to the size of the file.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ffnn.exceptions import FfnnError, PersistenceError
from ffnn.model import Array
from ffnn.persistence.values import FITTED_KINDS, KINDS, OWN_CLASSES, TEXT_FACTOR, check, parameters_of
from ffnn.plugins import registry

__all__ = ["Reader", "set_attributes"]

Json = Any

#: The memory allowed for arrays of texts in any file, however small.
_TEXT_BYTES = 2**24
#: The number of keys of a dictionary that may have the same hash; more make it slow.
_MOST_COLLISIONS = 8
#: The longest name of a dtype.
_LONGEST_DTYPE = 64


class Reader:
    """Converts JSON and arrays of a :class:`Writer` back to values.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        The arrays by name.
    size : int
        The size of the file in bytes, which bounds the memory of the values.
    """

    def __init__(self, arrays: Mapping[str, Array], size: int) -> None:
        self._arrays = dict(arrays)  # those that have not been read yet
        self._text_bytes = _TEXT_BYTES + TEXT_FACTOR * size
        self._readers: dict[str, Callable[[dict[str, Json]], Any]] = {
            "float": lambda json: float(json["value"]),
            "tuple": lambda json: tuple(map(self.read, json["items"])),
            "dict": self._dict,
            "scalar": lambda json: self.read(json["of"])[()],
            "dtype": self._dtype,
            "random state": self._random_state,
            "array": self._array,
            "list array": self._list_array,
            "text array": self._text_array,
            "own": self._own,
            **dict.fromkeys(KINDS, self._plugin),
        }

    def read(self, json: Json) -> Any:
        """Return the value.

        Raises
        ------
        PersistenceError
            If the JSON is not that of a writer, or names a plugin that is not installed.
        """
        if isinstance(json, list):
            return [self.read(item) for item in json]
        if not isinstance(json, dict):
            return json
        check(json.get("is") in self._readers, f"The file has a value of a kind that is not known, {json.get('is')!r}")
        return self._readers[json["is"]](json)

    def _dict(self, json: dict[str, Json]) -> dict[Any, Any]:
        keys = [self.read(key) for key, _ in json["items"]]
        collisions = max(collections.Counter(map(hash, keys)).values(), default=0)
        check(collisions <= _MOST_COLLISIONS, f"The file has a dictionary with {collisions} keys of one hash")
        return {key: self.read(value) for key, (_, value) in zip(keys, json["items"], strict=True)}

    def _array(self, json: dict[str, Json]) -> Array:
        dtype, stored = _dtype(json["dtype"]), self._stored(json)
        if dtype.kind in "mM":
            check(stored.dtype == np.int64, f"The file has {stored.dtype} for an array of dtype {dtype}")
            return stored.view(dtype.newbyteorder("="))
        check(stored.dtype == dtype.newbyteorder("="), f"The file has {stored.dtype} for an array of dtype {dtype}")
        return stored.astype(dtype, copy=False)

    def _stored(self, json: dict[str, Json]) -> Array:
        """Return an array of the file; each can be read once only, so that copies cannot exhaust memory."""
        name = json["name"]
        check(name in self._arrays, f"The file has no array {name!r}, or has it in two places")
        return self._arrays.pop(name)

    def _list_array(self, json: dict[str, Json]) -> Array:
        dtype = _dtype(json["dtype"])
        check(dtype.kind in "OU", f"The file has a list for an array of dtype {dtype}")
        items = [self.read(item) for item in json["items"]]
        check(
            all(v is None or isinstance(v, (str, bool, int, float)) for v in items),
            "An array has values of an unknown type",
        )
        self._text_bytes -= dtype.itemsize * len(items)
        check(self._text_bytes >= 0, f"The file's texts take more than {TEXT_FACTOR} times its size in memory")
        array: Array = np.empty(len(items), dtype)
        array[:] = items
        return array.reshape(json["shape"])

    def _text_array(self, json: dict[str, Json]) -> Array:
        dtype, points = _dtype(json["dtype"]), self._stored(json)
        check(dtype.kind == "U" and points.dtype == np.uint32, f"The file has code points for dtype {dtype}")
        check(points.max(initial=0) <= 0x10FFFF, "The file has a text of characters that do not exist")
        return points.view(dtype.newbyteorder("=")).reshape(json["shape"]).astype(dtype, copy=False)

    def _dtype(self, json: dict[str, Json]) -> Any:
        dtype = _dtype(json["name"])
        return dtype.type if json["type"] else dtype

    def _random_state(self, json: dict[str, Json]) -> np.random.RandomState:
        state = self.read(json["state"])
        check(state["bit_generator"] == "MT19937", "The file has a random state of another generator")
        made = np.random.RandomState(0)
        made.set_state(state)
        return made

    def _own(self, json: dict[str, Json]) -> Any:
        check(json["name"] in OWN_CLASSES, f"The file has an object of a class that is not known, {json['name']!r}")
        return self._make(OWN_CLASSES[json["name"]], json)

    def _plugin(self, json: dict[str, Json]) -> Any:
        kind, name = json["is"], json["name"]
        check(isinstance(name, str), f"The file names a {kind} by {name!r}")
        try:
            found = registry.load(kind, name)
        except FfnnError as error:
            origin = json.get("origin")
            remedy = f" It came from {origin}; install that, in that version or a later one." if origin else ""
            raise PersistenceError(f"The file needs the {kind} {name!r}: {error}{remedy}") from error
        check(issubclass(found, KINDS[kind]), f"The file has {name!r} as a {kind}, which it is not")
        return self._make(found, json)

    def _make(self, found: type[Any], json: dict[str, Json]) -> Any:
        made = found(**{name: self.read(value) for name, value in json["parameters"].items()})
        learned = {name: self.read(value) for name, value in json.get("learned", {}).items()}
        check(not learned or isinstance(made, FITTED_KINDS), f"The file has learned values for a {found.__name__}")
        set_attributes(made, learned)
        return made


def _dtype(name: Any) -> np.dtype[Any]:
    check(isinstance(name, str) and len(name) <= _LONGEST_DTYPE, "The file has an invalid dtype")
    found: np.dtype[Any] = np.dtype(name)
    return found


def set_attributes(target: Any, attributes: Mapping[str, Any]) -> None:
    """Set learned attributes; refuse those that would replace a method or a parameter."""
    parameters = parameters_of(target) if attributes else {}
    for name, value in attributes.items():
        # a class attribute that is None stands for a value that has not been learned yet
        own = name in parameters or getattr(type(target), name, None) is not None
        own = own or name.startswith("__")
        check(name.isidentifier() and not own, f"The file sets {type(target).__name__}.{name}, which is not learned")
        vars(target)[name] = value
