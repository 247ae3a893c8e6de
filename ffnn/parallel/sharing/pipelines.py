"""Sharing the transformers of the pipelines in a task with the other workers of the host."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

from ffnn.parallel.sharing.folder_store import FolderStore
from ffnn.parallel.sharing.memory_store import use_store
from ffnn.parallel.tasks.contents import walk

__all__ = ["FOLDER_VARIABLE", "PipelineMemory", "SharedCall"]

FOLDER_VARIABLE = "FFNN_SHARED"
"""The variable of a worker's environment that names the folder of what the workers of its host share."""


class SharedCall:
    """A call whose pipelines share their transformers with the other workers of the host.

    Parameters
    ----------
    call : callable
        The call.
    limit : int
        The most bytes that are kept on each host.
    """

    def __init__(self, call: Callable[..., Any], limit: int) -> None:
        self.__wrapped__ = call
        self._limit = limit

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make the call."""
        folder = os.environ.get(FOLDER_VARIABLE)
        if folder is None:
            return self.__wrapped__(*args, **kwargs)
        if "sklearn.pipeline" in sys.modules:
            _share_pipelines((self.__wrapped__, args, kwargs))
        with use_store(FolderStore(folder, self._limit)):
            return self.__wrapped__(*args, **kwargs)


def _share_pipelines(task: object) -> None:
    """Set the ``memory`` of the pipelines in a task that have none."""
    from sklearn.pipeline import Pipeline

    for thing in walk(task):
        if isinstance(thing, Pipeline) and thing.memory is None:
            thing.memory = PipelineMemory()


class PipelineMemory:
    """The ``memory`` of a pipeline whose transformers are shared; scikit-learn calls :meth:`cache` at each fit.

    It belongs to one task on one worker, and so is pickled as None: results come back as they would without it.
    """

    def cache(self, function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        """Return a function that fits one transformer of a pipeline after the other, as `function` does.

        Behind one that draws random numbers, the others have data that nobody else has, and share nothing.
        """
        from ffnn.parallel.sharing.cached import borrow  # imports scikit-learn, as nothing else here

        go_on = True

        @functools.wraps(function)
        def fit_transform(transformer: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal go_on
            if not go_on:
                return function(transformer, *args, **kwargs)
            borrowed = borrow(transformer)
            result = function(borrowed, *args, **kwargs)
            go_on = borrowed.is_repeatable
            return result

        return fit_transform

    def __deepcopy__(self, memo: object) -> PipelineMemory:
        return self

    def __reduce__(self) -> Any:
        return type(None), ()
