"""Gives a candidate whose worker was lost scikit-learn's ``error_score``.

scikit-learn turns an exception in ``fit`` into ``error_score``, but a lost worker raises nothing there. So
the same batch is run again with a :class:`FailedEstimator` in place of the estimator, whose ``fit`` raises the
error: scikit-learn then builds the failed result itself, or raises it under ``error_score="raise"``. joblib has
no public hook for this; this module assumes that a batch has ``items`` of (function, args, kwargs).

Only one function of scikit-learn fits an estimator and handles ``error_score``: ``_fit_and_score``, which is called by
searches, ``cross_validate``, ``learning_curve``, ``validation_curve`` and others. No other function may receive a
:class:`FailedEstimator`: it might save it as if it were the user's estimator. (``cross_val_predict``, and
``learning_curve`` with ``exploit_incremental_learning``, raise the errors of ``fit``, and so those of lost workers.)
"""

from __future__ import annotations

import copy
from typing import Any

from sklearn.base import BaseEstimator

from ffnn._utils._private import is_fit_and_score
from ffnn.parallel.followed import FollowedFit

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
        """Accept the parameters of the estimator that this one replaces."""
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
    if isinstance(function, FollowedFit):
        function = function.__wrapped__  # type: ignore[attr-defined]  # what it calls
    if not is_fit_and_score(function):
        return None
    failed = FailedEstimator(error)
    if args:  # the estimator is its first parameter
        args = (failed, *args[1:])
    else:
        kwargs = {**kwargs, "estimator": failed}
    again = copy.copy(batch)
    again.items = [(function, args, kwargs)]
    again.is_rerun = True  # so that progress does not count it as another task
    return again
