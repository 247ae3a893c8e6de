"""A candidate whose worker was lost becomes scikit-learn's ``error_score``.

scikit-learn turns an exception in ``fit`` into ``error_score``, but a lost worker raises nothing there. So
the same batch is run once more with a stand-in for the estimator, whose ``fit`` raises what happened:
scikit-learn then builds the failed result itself, or raises it under ``error_score="raise"``. joblib has
no public hook for this; what is relied upon is that a batch has ``items`` of (function, args, kwargs).

One function of scikit-learn's fits an estimator and knows ``error_score``: ``_fit_and_score``, which searches,
``cross_validate``, ``learning_curve``, ``validation_curve`` and others call. Nothing else may see a stand-in: a
function that saves an estimator would save this one. (``cross_val_predict`` and ``learning_curve`` with
``exploit_incremental_learning`` raise what ``fit`` raises, and so does a lost worker there.)
"""

from __future__ import annotations

import copy
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.model_selection import _validation
from sklearn.utils.parallel import _FuncWrapper

__all__ = ["FailedEstimator", "stand_in"]


class FailedEstimator(BaseEstimator):
    """Raises, where an estimator would be fitted, why it could not be.

    Parameters
    ----------
    error : Exception
        What to raise.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error

    def set_params(self, **params: Any) -> FailedEstimator:
        """Accept the parameters of the estimator that this one stands for."""
        return self

    def fit(self, X: Any, y: Any = None, **params: Any) -> FailedEstimator:
        """Raise the error."""
        raise self.error


def stand_in(batch: Any, error: Exception) -> Any | None:
    """Make the batch that fails as scikit-learn expects; None if it is not one call that knows ``error_score``."""
    items = getattr(batch, "items", None)
    if not isinstance(items, list) or len(items) != 1:
        return None
    function, args, kwargs = items[0]
    if not _knows_error_score(function):
        return None
    failed = FailedEstimator(error)
    if args:  # the estimator is its first parameter
        args = (failed, *args[1:])
    else:
        kwargs = {**kwargs, "estimator": failed}
    again = copy.copy(batch)
    again.items = [(function, args, kwargs)]
    again.stands_in = True  # so that it is not counted as one more task
    return again


def _knows_error_score(function: Any) -> bool:
    if isinstance(function, _FuncWrapper):  # scikit-learn's own delayed()
        function = function.function
    return function is _validation._fit_and_score
