"""Imports the engine that a task's estimators need before the task begins, and with it every clock in the task."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from ffnn.executor import Task

__all__ = ["EngineImporter"]

#: How deep, and how far into a list, estimators are looked for: a task holds them near its top.
DEPTH = 12
WIDTH = 64


class EngineImporter:
    """Looks through tasks until one holds an estimator of ours; then an engine is there, and it looks no more."""

    def __init__(self) -> None:
        self._done = False

    def look_at(self, task: Task) -> None:
        """Import the engine of the first estimator found in a task.

        What goes wrong here goes wrong again in the task, which is who should say so.
        """
        if self._done:
            return
        with contextlib.suppress(Exception):
            for estimator in _estimators((task.function, task.args, task.kwargs), DEPTH):
                estimator._import_engine()
                self._done = True
                return


def _estimators(thing: Any, depth: int) -> Iterator[Any]:
    """Yield what can import an engine in containers, in joblib's batches of calls and in estimators' parameters."""
    if hasattr(type(thing), "_import_engine"):
        yield thing
    elif depth:
        for inner in _inside(thing):
            yield from _estimators(inner, depth - 1)


def _inside(thing: Any) -> list[Any]:
    if isinstance(thing, tuple | list):
        return list(thing[:WIDTH])
    if isinstance(thing, Mapping):
        return list(thing.values())[:WIDTH]
    if hasattr(type(thing), "get_params"):  # a pipeline, or whatever else is made of estimators
        return list(thing.get_params(deep=False).values())[:WIDTH]
    items = getattr(thing, "items", None)  # joblib's BatchedCalls
    return items[:WIDTH] if isinstance(items, list) else []
