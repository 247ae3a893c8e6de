"""Listeners to the results of a pool, for ``ffnn.pool(..., report=...)``."""

from __future__ import annotations

from ffnn.callbacks.mlflow import MLflowRuns
from ffnn.parallel.results import ResultListener

__all__ = ["MLflowRuns", "ResultListener"]
