"""Values as JSON and arrays: what a saved estimator is made of.

What JSON does not have stands in it as an object that says what it *is*: ``{"is": "tuple", "items": [1, 2]}``.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from ffnn import schedules, solvers
from ffnn.builder import Builder
from ffnn.exceptions import PersistenceError
from ffnn.input import Input
from ffnn.layer import Layer
from ffnn.model import Array
from ffnn.output import Output
from ffnn.plugins import registry
from ffnn.plugins.hookspecs import Kind
from ffnn.schedule import Schedule
from ffnn.solver import Solver

__all__ = ["KEEP", "KINDS", "LEARNERS", "OWN", "TEXT_FACTOR", "Writer", "check", "parameters_of"]

Json = Any

#: The classes of plugins, by kind, of which an instance can be a parameter.
KINDS: dict[Kind, type[Any]] = {
    "builder": Builder,
    "input": Input,
    "layer": Layer,
    "output": Output,
    "schedule": Schedule,
    "solver": Solver,
}
#: What learns something that its parameters do not say.
LEARNERS = (Input, Output)
#: The solvers and schedules by the names of their classes, which files of format 1 have.
OWN: dict[str, type[Any]] = {
    name: found
    for module in (schedules, solvers)
    for name, found in ((name, getattr(module, name)) for name in module.__all__)
    if isinstance(found, type) and issubclass(found, BaseEstimator)
}
#: The dtypes that arrays are stored in as they are; of the others, texts and objects are lists, times are integers.
_STORED = {"bool", "float16", "float32", "float64"} | {f"{sign}int{n}" for sign in ("", "u") for n in (8, 16, 32, 64)}

#: How many times the size of the file its arrays of texts may take in memory, where each text takes as much as the
#: longest in its array.
TEXT_FACTOR = 16
#: From this size on, an array whose texts would take more than `TEXT_FACTOR` allows is stored as code points.
_PADDED_BYTES = 2**16

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
            texts = native.ravel().tolist()
            if dtype.kind == "U" and native.nbytes > max(_PADDED_BYTES, TEXT_FACTOR * sum(map(len, texts))):
                points = self._store(native.ravel().view(np.uint32), where)
                return {"is": "text array", "dtype": dtype.str, "shape": list(value.shape), "name": points}
            items = self._items(texts, where)
            return {"is": "list array", "dtype": dtype.str, "shape": list(value.shape), "items": items}
        if dtype.kind in "mM":
            native = native.view(np.int64)
        if native.dtype.name not in _STORED:
            raise PersistenceError(f"{where}: an array of dtype {dtype} cannot be saved; expected numbers or texts.")
        return {"is": "array", "dtype": dtype.str, "name": self._store(native, where)}

    def _store(self, array: Array, where: str) -> str:
        """Add an array under a name of its own, and return the name."""
        name, n = where, 1
        while name in self.arrays:
            name, n = f"{where}#{n}", n + 1
        self.arrays[name] = array
        return name

    def _object(self, value: Any, where: str) -> Json:
        for kind, base in KINDS.items():
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
        parameters = parameters_of(value)
        contents = {"parameters": {name: self.write(v, f"{where}.{name}") for name, v in parameters.items()}}
        if isinstance(value, LEARNERS):
            # a parameter that a method has the name of, such as an output's loss, stands under a private one
            learned = {name: v for name, v in vars(value).items() if name.removeprefix("_") not in parameters}
            contents["learned"] = {name: self.write(v, f"{where}.{name}") for name, v in learned.items()}
        return contents


def parameters_of(value: Any) -> dict[str, Any]:
    """Return the parameters of an object of ffnn's or a plugin's class."""
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
