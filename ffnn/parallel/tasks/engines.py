"""Imports the engine of a task's estimators before the task is timed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from ffnn.executor import Task

__all__ = ["EngineImporter"]

#: How deep, and how far into a list, estimators are searched for; they are near the top of a task.
DEPTH = 12
WIDTH = 64


class EngineImporter:
    """Searches tasks for an estimator of ffnn and imports its engine; stops after the first engine."""

    def __init__(self) -> None:
        self._done = False

    def look_at(self, task: Task) -> None:
        """Import the engine of the first estimator found in a task.

        An error here is raised again by the task, which reports it.
        """
        if self._done:
            return
        with contextlib.suppress(Exception):
            for estimator in _estimators((task.function, task.args, task.kwargs), DEPTH):
                self._done = estimator._import_engine()
                return


def _estimators(thing: Any, depth: int) -> Iterator[Any]:
    """Yield the objects that can import an engine, in containers, joblib's batches and estimators' parameters."""
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
    if hasattr(type(thing), "get_params"):  # a pipeline, or another meta-estimator
        return list(thing.get_params(deep=False).values())[:WIDTH]
    items = getattr(thing, "items", None)  # joblib's BatchedCalls
    return items[:WIDTH] if isinstance(items, list) else []
