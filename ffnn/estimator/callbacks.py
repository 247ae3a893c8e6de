"""Support for scikit-learn's callbacks (``sklearn.callback``, experimental, from 1.9 on).

Without that module the estimators have no ``set_callbacks``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import scipy.sparse

from ffnn._utils._private import callback_context, has_callbacks, num_samples, safe_indexing
from ffnn.model import Array
from ffnn.training.history import History
from ffnn.training.listeners import Listener

__all__ = ["CallbackSupport", "SklearnCallbacks", "tearing_down"]

Function = TypeVar("Function", bound=Callable[..., Any])

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupport
    from sklearn.callback import with_callbacks
except ImportError:  # scikit-learn before 1.9
    with_callbacks = None

    class CallbackSupport:  # type: ignore[no-redef]  # replaces the missing class
        """An empty mixin: this scikit-learn has no callbacks."""


def tearing_down(function: Function) -> Function:
    """Return the function with the callbacks of its first argument, an estimator, torn down at its end."""
    return function if with_callbacks is None else with_callbacks(function)


class SklearnCallbacks(Listener):
    """Reports the fit, and each epoch as a task of it, to an estimator's callbacks.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        The estimator that is trained. Its callbacks come from ``set_callbacks``, or from a search or a pipeline.
    X, y : array-like
        The user's.
    sample_weight : array-like or None
        The user's.
    rows : ndarray
        The rows of them that are trained on.
    epochs : range
        The epochs to come.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any, rows: Array, epochs: range) -> None:
        self._estimator: Any = estimator
        self._epochs = epochs
        self._fit: Any = None
        self._epoch: Any = None

        def part(data: Any) -> Any:
            """Return the rows that are trained on: what is set apart for validation is not shown."""
            if data is None or len(rows) == X_rows:
                return data
            return safe_indexing(data.tocsr() if scipy.sparse.issparse(data) else data, rows)

        X_rows = num_samples(X)  # of whatever scikit-learn takes for an array
        # functions are called only where a callback asks
        self._data: dict[str, Any] = {
            "X": lambda: part(X),
            "y": lambda: part(y),
            "metadata": None if sample_weight is None else lambda: {"sample_weight": part(sample_weight)},
        }

    @property
    def can_go_on(self) -> bool:
        """Whether there are no callbacks, as nobody knows what they remember."""
        return not has_callbacks(self._estimator)

    def begin(self) -> None:
        """Set the callbacks up, and report the fit."""
        if has_callbacks(self._estimator):
            self._fit = callback_context(self._estimator, len(self._epochs))
            self._fit.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def begin_epoch(self, epoch: int) -> None:
        """Report the epoch."""
        if self._fit is not None:
            self._epoch = self._fit.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(**self._state())

    def end_epoch(self, epoch: int, stats: dict[str, float]) -> bool:
        """Report the end of the epoch; return whether a callback says to stop."""
        return self._fit is not None and bool(self._epoch.call_on_fit_task_end(**self._state()))

    def end(self) -> None:
        """Report the end of the fit."""
        if self._fit is not None:
            self._fit.call_on_fit_task_end(**self._state())

    def close(self) -> None:
        """Release the data."""
        self._data = {}

    def _state(self) -> dict[str, Any]:
        estimator = self._estimator
        # a copy of the state: a callback may keep the estimator that it is given
        return {
            "estimator": estimator,
            "reconstruction_attributes": lambda: _attributes(estimator),
            **self._data,
        }


def _attributes(estimator: Any) -> dict[str, Any]:
    """Return copies of the attributes that each epoch changes in place."""
    return {**History.of(vars(estimator)).attributes(), "_fitted": copy.copy(estimator._fitted)}
