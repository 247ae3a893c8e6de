"""A candidate whose worker was lost becomes scikit-learn's ``error_score``.

scikit-learn turns an exception in ``fit`` into ``error_score``, but a lost worker raises nothing there. So
the same batch is run again with a :class:`FailedEstimator` in place of the estimator, whose ``fit`` raises the
error: scikit-learn then builds the failed result itself, or raises it under ``error_score="raise"``. joblib has
no public hook for this; the code relies on a batch having ``items`` of (function, args, kwargs).

One function of scikit-learn's fits an estimator and knows ``error_score``: ``_fit_and_score``, which searches,
``cross_validate``, ``learning_curve``, ``validation_curve`` and others call. No other function may receive a
:class:`FailedEstimator`: one that saves its estimator would save it. (``cross_val_predict`` and ``learning_curve`` with
``exploit_incremental_learning`` raise what ``fit`` raises, and so does a lost worker there.)
"""

from __future__ import annotations

import copy
from typing import Any

from sklearn.base import BaseEstimator

from ffnn._utils._private import is_fit_and_score

__all__ = ["FailedEstimator", "failing_batch"]


class FailedEstimator(BaseEstimator):
    """An estimator whose ``fit`` raises a given error.

    Parameters
    ----------
    error : Exception
        The error.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error

    def set_params(self, **params: Any) -> FailedEstimator:
        """Accept the parameters of the estimator that this one stands for."""
        return self

    def fit(self, X: Any, y: Any = None, **params: Any) -> FailedEstimator:
        """Raise the error."""
        raise self.error


def failing_batch(batch: Any, error: Exception) -> Any | None:
    """Return a copy of a batch whose estimator fails in ``fit``; None unless it is one call with ``error_score``."""
    items = getattr(batch, "items", None)
    if not isinstance(items, list) or len(items) != 1:
        return None
    function, args, kwargs = items[0]
    if not is_fit_and_score(function):
        return None
    failed = FailedEstimator(error)
    if args:  # the estimator is its first parameter
        args = (failed, *args[1:])
    else:
        kwargs = {**kwargs, "estimator": failed}
    again = copy.copy(batch)
    again.items = [(function, args, kwargs)]
    again.is_rerun = True  # it is not counted as one more task
    return again
