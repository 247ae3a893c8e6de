"""Writes the values of an estimator as JSON and arrays.

Types that JSON lacks are objects with the key ``is``: ``{"is": "tuple", "items": [1, 2]}``.
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

__all__ = ["FITTED_KINDS", "JOBLIB", "KINDS", "OWN_CLASSES", "TEXT_FACTOR", "Writer", "check", "parameters_of"]

Json = Any

#: The base classes of plugins whose instances can be parameters, by kind.
KINDS: dict[Kind, type[Any]] = {
    "builder": Builder,
    "input": Input,
    "layer": Layer,
    "output": Output,
    "schedule": Schedule,
    "solver": Solver,
}
#: The classes with learned attributes beside their parameters.
FITTED_KINDS = (Input, Output)
#: The solvers and schedules by the names of their classes, which files of format 1 have.
OWN_CLASSES: dict[str, type[Any]] = {
    name: found
    for module in (schedules, solvers)
    for name, found in ((name, getattr(module, name)) for name in module.__all__)
    if isinstance(found, type) and issubclass(found, BaseEstimator)
}
#: The dtypes of arrays that are stored unchanged; texts and objects become lists, times become integers.
_STORED = {"bool", "float16", "float32", "float64"} | {f"{sign}int{n}" for sign in ("", "u") for n in (8, 16, 32, 64)}

#: The memory allowed for arrays of texts, in multiples of the file's size; NumPy pads texts to the longest one.
TEXT_FACTOR = 16
#: The size from which an array whose texts exceed `TEXT_FACTOR` is stored as code points.
_PADDED_BYTES = 2**16

#: The remedy of last resort.
JOBLIB = "Or save the estimator with joblib.dump, whose files can run code and must come from a trusted source."


def check(condition: Any, message: str) -> None:
    """Raise PersistenceError unless a condition on the contents of a file holds."""
    if not condition:
        raise PersistenceError(f"{message}. The file was not written by ffnn.save, or was changed afterwards.")


class Writer:
    """Converts values to JSON, and arrays to entries of :attr:`arrays`.

    Attributes
    ----------
    arrays : dict of str to ndarray
        The arrays by their names in the JSON.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}

    def write(self, value: Any, where: str) -> Json:
        """Return a value as JSON.

        Parameters
        ----------
        value : object
            A plain value, an array, a container of such, or an instance of a class of ffnn or a registered plugin.
        where : str
            The parameter or attribute that holds it, for the error message.

        Raises
        ------
        PersistenceError
            If the value has another type.
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
        """Add an array under a unique name, and return the name."""
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
        """Return the registered name of an object's class, and the distribution that registered it."""
        path = f"{type(value).__module__}:{type(value).__qualname__}"
        for entry in registry.entries():
            if entry.kind == kind and entry.error is None and entry.target == path:
                return {"name": entry.name} | ({} if entry.built_in else {"origin": entry.origin})
        raise PersistenceError(
            f"{where}={value!r}: its class, {path}, is not registered as a plugin, so a file cannot name it. "
            f"Register it as described in docs/plugins. {JOBLIB}"
        )

    def _contents(self, value: Any, where: str) -> dict[str, Json]:
        parameters = parameters_of(value)
        contents = {"parameters": {name: self.write(v, f"{where}.{name}") for name, v in parameters.items()}}
        if isinstance(value, FITTED_KINDS):
            # a parameter with the name of a method, such as an output's loss, is stored in a private attribute
            learned = {name: v for name, v in vars(value).items() if name.removeprefix("_") not in parameters}
            contents["learned"] = {name: self.write(v, f"{where}.{name}") for name, v in learned.items()}
        return contents


def parameters_of(value: Any) -> dict[str, Any]:
    """Return the parameters of an instance of a class of ffnn or a plugin."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    parameters: dict[str, Any] = value.get_params(deep=False)
    return parameters


def _refusal(value: Any, where: str) -> str:
    if callable(value) and not isinstance(value, (BaseEstimator, type)):
        return (
            f"{where}={value!r}: a function cannot be saved in a file that runs no code when it is read. Use a "
            f"registered name, such as activation='tanh', or register a plugin as described in docs/plugins. {JOBLIB}"
        )
    return (
        f"{where}={value!r}: a {type(value).__module__}.{type(value).__qualname__} cannot be saved; expected plain "
        f"values, arrays, or instances of classes of ffnn and registered plugins. Change it with set_params. {JOBLIB}"
    )
