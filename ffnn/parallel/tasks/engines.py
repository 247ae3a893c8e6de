"""Imports the engine of a task's estimators before the task is timed."""

from __future__ import annotations

import contextlib

from ffnn.executor import Task
from ffnn.parallel.tasks.contents import walk

__all__ = ["EngineImporter"]


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
            for thing in walk((task.function, task.args, task.kwargs)):
                if hasattr(type(thing), "_import_engine"):
                    self._done = thing._import_engine()
                    return
