"""Fits that were stopped, and the result that scikit-learn gets of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ffnn.parallel.failed import failing_batch
from ffnn.parallel.journal.keys import arguments_of

__all__ = ["PrunedFit", "pruned_result"]


@dataclass(frozen=True)
class PrunedFit:
    """A fit that was stopped.

    Attributes
    ----------
    candidate, fold : int
        The candidate's place in the search's ``cv_results_``, and the fold.
    parameters : dict
        The candidate's parameters.
    n_epochs : int
        The number of epochs after which it was compared with the others, and stopped.
    monitor : str
        What was compared.
    value : float
        Its value.
    """

    candidate: int
    fold: int
    parameters: dict[str, Any]
    n_epochs: int
    monitor: str
    value: float


class _Pruned(Exception):
    """Makes scikit-learn build the result of a fit without scores."""


def pruned_result(batch: Any, seconds: float) -> dict[str, Any]:
    """Return what scikit-learn's function would return of a fit that has no scores, without an error.

    Parameters
    ----------
    batch : joblib.parallel.BatchedCalls
        The call.
    seconds : float
        The time that the fit took.
    """
    failing = failing_batch(batch, _Pruned())
    assert failing is not None  # it is a single fit
    function, args, kwargs = failing.items[0]
    arguments = arguments_of(function, args, kwargs)
    quick = {"train": arguments["train"][:1], "test": arguments["test"][:1], "error_score": np.nan, "verbose": 0}
    quick |= {name: None for name in ("caller", "callback_ctx") if name in arguments}
    result: dict[str, Any] = function(*args, **{**kwargs, **quick})
    result["fit_error"] = None
    if "fit_time" in result:
        result["fit_time"] = seconds
    if "n_test_samples" in result:
        result["n_test_samples"] = len(arguments["test"])
    return result
