"""Keys of traced programs; objects with equal keys share one."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Any
from weakref import WeakKeyDictionary

from sklearn.base import BaseEstimator

__all__ = ["Identity", "parameters_key"]


class Identity:
    """A key that equals only itself, for a value that cannot be hashed and so shares no program."""

    def __init__(self, value: object) -> None:
        self._value = value  # kept alive, so that its id is not reused

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)


def _key(value: Any) -> Hashable:
    try:
        hash(value)
    except TypeError:
        return Identity(value)
    # 1, 1.0 and True are equal but need different programs
    return (type(value), value)


#: The names of a class's parameters, in order: scikit-learn reads the signature of ``__init__`` each time.
_names: WeakKeyDictionary[type, tuple[str, ...]] = WeakKeyDictionary()


def _parameters(estimator: Any) -> list[tuple[str, Any]]:
    """Return the names and values of the parameters, in the order of their names."""
    kind = type(estimator)
    if kind.get_params is not BaseEstimator.get_params:  # which may depend on the object
        return sorted(estimator.get_params(deep=False).items())
    if kind not in _names:
        _names[kind] = tuple(sorted(estimator.get_params(deep=False)))
    return [(name, getattr(estimator, name)) for name in _names[kind]]


def parameters_key(estimator: Any, *, without: Collection[str] = ()) -> Hashable:
    """Return a key of a ``BaseEstimator``: its class and its parameters, except those in ``without``."""
    named = ((name, _key(value)) for name, value in _parameters(estimator) if name not in without)
    return (type(estimator), *named)
