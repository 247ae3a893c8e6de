"""Keys of traced programs; objects with equal keys share one."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Any

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


def parameters_key(estimator: Any, *, without: Collection[str] = ()) -> Hashable:
    """Return a key of a ``BaseEstimator``: its class and its parameters, except those in ``without``."""
    parameters = estimator.get_params(deep=False)
    named = ((name, _key(value)) for name, value in sorted(parameters.items()) if name not in without)
    return (type(estimator), *named)
