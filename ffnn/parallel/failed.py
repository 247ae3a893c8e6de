"""A candidate whose worker was lost becomes scikit-learn's ``error_score``.

scikit-learn turns an exception in ``fit`` into ``error_score``, but a lost worker raises nothing there. So
the same batch is run once more with a stand-in for the estimator, whose ``fit`` raises what happened:
scikit-learn then builds the failed result itself, or raises it under ``error_score="raise"``. joblib has
no public hook for this; what is relied upon is that a batch has ``items`` of (function, args, kwargs).
"""

from __future__ import annotations

import copy
from typing import Any

from sklearn.base import BaseEstimator

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
    """Make the batch that fails as scikit-learn expects; None if it is not one call with an estimator."""
    items = getattr(batch, "items", None)
    if not isinstance(items, list) or len(items) != 1:
        return None
    function, args, kwargs = items[0]
    failed = FailedEstimator(error)
    if "estimator" in kwargs and _fits(kwargs["estimator"]):
        kwargs = {**kwargs, "estimator": failed}
    else:
        places = [index for index, value in enumerate(args) if _fits(value)]
        if not places:
            return None
        args = (*args[: places[0]], failed, *args[places[0] + 1 :])
    again = copy.copy(batch)
    again.items = [(function, args, kwargs)]
    again.stands_in = True  # so that it is not counted as one more task
    return again


def _fits(value: Any) -> bool:
    return not isinstance(value, type) and hasattr(value, "fit") and hasattr(value, "get_params")
