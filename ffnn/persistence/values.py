"""Values as JSON and arrays, and back: what a saved estimator is made of.

What JSON does not have stands in it as an object that says what it *is*: ``{"is": "tuple", "items": [1, 2]}``. Reading
calls no function and imports no module that the file names: an object is one of ffnn's own classes or a registered
plugin's, by its name, and its parameters are plain values again.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from ffnn import schedules, solvers
from ffnn.builder import Builder
from ffnn.exceptions import FfnnError, PersistenceError
from ffnn.input import Input
from ffnn.layer import Layer
from ffnn.model import Array
from ffnn.output import Output
from ffnn.plugins import registry
from ffnn.plugins.hookspecs import Kind
from ffnn.schedule import Schedule
from ffnn.solver import Solver

__all__ = ["KEEP", "Reader", "Writer", "check", "set_attributes"]

Json = Any

#: The classes of plugins, by kind, of which an instance can be a parameter.
_KINDS: dict[Kind, type[Any]] = {
    "builder": Builder,
    "input": Input,
    "layer": Layer,
    "output": Output,
    "schedule": Schedule,
    "solver": Solver,
}
#: What learns something that its parameters do not say.
_LEARNERS = (Input, Output)
#: The solvers and schedules by the names of their classes, which files of format 1 have.
_OWN: dict[str, type[Any]] = {
    name: found
    for module in (schedules, solvers)
    for name, found in ((name, getattr(module, name)) for name in module.__all__)
    if isinstance(found, type) and issubclass(found, BaseEstimator)
}
#: The dtypes that arrays are stored in as they are; of the others, texts and objects are lists, times are integers.
_STORED = {"bool", "float16", "float32", "float64"} | {f"{sign}int{n}" for sign in ("", "u") for n in (8, 16, 32, 64)}

#: What an array of texts may take in memory: a few bytes of a hostile file could ask for all there is.
_MOST_BYTES = 2**30

#: The remedy where nothing else helps.
KEEP = "Or keep the estimator by joblib.dump, whose files run what is in them: they are for trusted hands only."


def check(condition: Any, message: str) -> None:
    """Refuse a file whose contents do not make sense."""
    if not condition:
        raise PersistenceError(f"{message}. The file was not written by ffnn.save, or was changed afterwards.")


class Writer:
    """Turns values into JSON, and arrays into entries of :attr:`arrays`.

    Attributes
    ----------
    arrays : dict of str to ndarray
        The arrays by the names that the JSON has for them.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}

    def write(self, value: Any, where: str) -> Json:
        """Return a value as JSON.

        Parameters
        ----------
        value : object
            A plain value, an array, a container of such, or an object of ffnn's or a registered plugin's class.
        where : str
            The parameter or attribute that it is, for the error message.

        Raises
        ------
        PersistenceError
            If it is something else.
        """
        kind = type(value)
        if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
            return value
        if kind is float:
            return {"is": "float", "value": str(value)}
        if kind is list:
            return self._items(value, where)
        if kind is tuple:
            return {"is": "tuple", "items": self._items(value, where)}
        if kind is dict:
            pairs = [[self.write(k, where), self.write(v, f"{where}[{k!r}]")] for k, v in value.items()]
            return {"is": "dict", "items": pairs}
        if isinstance(value, np.generic):
            return {"is": "scalar", "of": self._array(np.asarray(value), where)}
        if kind is np.ndarray:
            return self._array(value, where)
        if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
            return {"is": "dtype", "name": np.dtype(value).str, "type": isinstance(value, type)}
        if kind is np.random.RandomState:
            state = value.get_state(legacy=False)
            if state["bit_generator"] == "MT19937":
                return {"is": "random state", "state": self.write(state, where)}
        return self._object(value, where)

    def _items(self, values: Any, where: str) -> list[Json]:
        return [self.write(value, f"{where}[{i}]") for i, value in enumerate(values)]

    def _array(self, value: Array, where: str) -> Json:
        dtype = value.dtype
        native = np.array(value, order="C", dtype=dtype.newbyteorder("="))
        if dtype.kind in "OU":
            items = self._items(native.ravel().tolist(), where)
            return {"is": "list array", "dtype": dtype.str, "shape": list(value.shape), "items": items}
        if dtype.kind in "mM":
            native = native.view(np.int64)
        if native.dtype.name not in _STORED:
            raise PersistenceError(f"{where}: an array of dtype {dtype} cannot be saved; expected numbers or texts.")
        name, n = where, 1
        while name in self.arrays:
            name, n = f"{where}#{n}", n + 1
        self.arrays[name] = native
        return {"is": "array", "dtype": dtype.str, "name": name}

    def _object(self, value: Any, where: str) -> Json:
        for kind, base in _KINDS.items():
            if isinstance(value, base):
                return {"is": kind, **self._name_of(kind, value, where), **self._contents(value, where)}
        raise PersistenceError(_refusal(value, where))

    def _name_of(self, kind: Kind, value: Any, where: str) -> dict[str, str]:
        """Return the name that an object's class is registered under, and by whom."""
        path = f"{type(value).__module__}:{type(value).__qualname__}"
        for entry in registry.entries():
            if entry.kind == kind and entry.error is None and entry.target == path:
                return {"name": entry.name} | ({} if entry.built_in else {"origin": entry.origin})
        raise PersistenceError(
            f"{where}={value!r}: its class, {path}, is not registered as a plugin, so that a file cannot name it. "
            f"Register it: docs/plugins says how. {KEEP}"
        )

    def _contents(self, value: Any, where: str) -> dict[str, Json]:
        parameters = _parameters(value)
        contents = {"parameters": {name: self.write(v, f"{where}.{name}") for name, v in parameters.items()}}
        if isinstance(value, _LEARNERS):
            # a parameter that a method has the name of, such as an output's loss, stands under a private one
            learned = {name: v for name, v in vars(value).items() if name.removeprefix("_") not in parameters}
            contents["learned"] = {name: self.write(v, f"{where}.{name}") for name, v in learned.items()}
        return contents


class Reader:
    """Turns what a :class:`Writer` wrote back into values.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        The arrays by name.
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = arrays
        self._readers: dict[str, Callable[[dict[str, Json]], Any]] = {
            "float": lambda json: float(json["value"]),
            "tuple": lambda json: tuple(map(self.read, json["items"])),
            "dict": lambda json: {self.read(k): self.read(v) for k, v in json["items"]},
            "scalar": lambda json: self._array(json["of"])[()],
            "dtype": self._dtype,
            "random state": self._random_state,
            "array": self._array,
            "list array": self._array,
            "own": self._own,
            **dict.fromkeys(_KINDS, self._plugin),
        }

    def read(self, json: Json) -> Any:
        """Return the value.

        Raises
        ------
        PersistenceError
            If the JSON says something that no writer says, or names a plugin that is not there.
        """
        if isinstance(json, list):
            return [self.read(item) for item in json]
        if not isinstance(json, dict):
            return json
        check(json.get("is") in self._readers, f"The file has a value of a kind that is not known, {json.get('is')!r}")
        return self._readers[json["is"]](json)

    def _array(self, json: dict[str, Json]) -> Array:
        dtype = np.dtype(str(json["dtype"]))
        if json["is"] == "list array":
            check(dtype.kind in "OU", f"The file has a list for an array of dtype {dtype}")
            items = [self.read(item) for item in json["items"]]
            check(all(v is None or isinstance(v, (str, bool, int, float)) for v in items), "An array has odd values")
            check(dtype.itemsize * len(items) <= _MOST_BYTES, f"The file has {len(items)} values of dtype {dtype}")
            array: Array = np.empty(len(items), dtype)
            array[:] = items
            return array.reshape(json["shape"])
        stored = self._arrays[json["name"]]
        if dtype.kind in "mM":
            check(stored.dtype == np.int64, f"The file has {stored.dtype} for an array of dtype {dtype}")
            return stored.view(dtype.newbyteorder("="))
        check(stored.dtype == dtype.newbyteorder("="), f"The file has {stored.dtype} for an array of dtype {dtype}")
        return stored.astype(dtype, copy=False)

    def _dtype(self, json: dict[str, Json]) -> Any:
        dtype = np.dtype(str(json["name"]))
        return dtype.type if json["type"] else dtype

    def _random_state(self, json: dict[str, Json]) -> np.random.RandomState:
        state = self.read(json["state"])
        check(state["bit_generator"] == "MT19937", "The file has a random state of another generator")
        made = np.random.RandomState(0)
        made.set_state(state)
        return made

    def _own(self, json: dict[str, Json]) -> Any:
        check(json["name"] in _OWN, f"The file has an object of a class that is not known, {json['name']!r}")
        return self._make(_OWN[json["name"]], json)

    def _plugin(self, json: dict[str, Json]) -> Any:
        kind, name = json["is"], json["name"]
        check(isinstance(name, str), f"The file names a {kind} by {name!r}")
        try:
            found = registry.load(kind, name)
        except FfnnError as error:
            origin = json.get("origin")
            remedy = f" It came from {origin}; install that, in that version or a later one." if origin else ""
            raise PersistenceError(f"The file needs the {kind} {name!r}: {error}{remedy}") from error
        check(issubclass(found, _KINDS[kind]), f"The file has the {kind} {name!r}, which is none")
        return self._make(found, json)

    def _make(self, found: type[Any], json: dict[str, Json]) -> Any:
        made = found(**{name: self.read(value) for name, value in json["parameters"].items()})
        learned = {name: self.read(value) for name, value in json.get("learned", {}).items()}
        check(not learned or isinstance(made, _LEARNERS), f"The file has learned values for a {found.__name__}")
        set_attributes(made, learned)
        return made


def set_attributes(target: Any, attributes: Mapping[str, Any]) -> None:
    """Set learned attributes, but nothing that stands in the place of a method or a parameter."""
    for name, value in attributes.items():
        # None in the class says that nothing has been learned yet
        own = name in _parameters(target) or getattr(type(target), name, None) is not None
        own = own or name.startswith("__")
        check(name.isidentifier() and not own, f"The file sets {type(target).__name__}.{name}, which is not learned")
        vars(target)[name] = value


def _parameters(value: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    parameters: dict[str, Any] = value.get_params(deep=False)
    return parameters


def _refusal(value: Any, where: str) -> str:
    if callable(value) and not isinstance(value, (BaseEstimator, type)):
        return (
            f"{where}={value!r}: a function cannot be saved in a file that runs nothing when it is read. Use a "
            f"registered name, such as activation='tanh', or register a plugin of yours: docs/plugins says how. {KEEP}"
        )
    return (
        f"{where}={value!r}: a {type(value).__module__}.{type(value).__qualname__} cannot be saved; expected plain "
        f"values, arrays, or objects of ffnn's and of registered plugins' classes. Change it with set_params. {KEEP}"
    )
