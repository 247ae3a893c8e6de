"""The objects inside of a task, or of an estimator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["walk"]

#: How deep, and how far into a list, objects are looked for: a task holds its estimators near its top.
DEPTH = 12
WIDTH = 64


def walk(thing: Any, depth: int = DEPTH, width: int = WIDTH) -> Iterator[Any]:
    """Yield an object and those in it: in containers, joblib's batches, wrapped calls, and estimators' parameters."""
    yield thing
    if depth:
        for inner in _inside(thing, width):
            yield from walk(inner, depth - 1, width)


def _inside(thing: Any, width: int) -> list[Any]:
    if isinstance(thing, tuple | list):
        return list(thing[:width])
    if isinstance(thing, Mapping):
        return list(thing.values())[:width]
    if isinstance(thing, type | str | bytes | int | float):
        return []
    if hasattr(type(thing), "get_params"):  # a pipeline, or another meta-estimator
        return list(thing.get_params(deep=False).values())[:width]
    items = getattr(thing, "items", None)  # joblib's BatchedCalls
    if isinstance(items, list):
        return items[:width]
    return [getattr(thing, name) for name in ("__wrapped__", "__self__") if hasattr(thing, name)]
