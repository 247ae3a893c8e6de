"""The warning of a network that learned nothing from features of an extreme scale."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning

from ffnn.model import Array
from ffnn.ops import NumpyOps
from ffnn.output import Output
from ffnn.training.listeners import Listener

__all__ = ["ScaleListener"]

#: The root mean square of the largest feature between which a network is expected to learn.
_SMALLEST, _LARGEST = 1e-2, 1e2
#: A loss of more than this part of that of constant scores is no better than it.
_NO_BETTER = 0.95


class ScaleListener(Listener):
    """Warns if the training loss is no better than that of scores of zero, and features have an extreme scale.

    Scores of zero predict the mean, or all classes alike. Either sign alone is no reason to warn: there may be nothing
    to learn, and some networks learn from any scale.

    Parameters
    ----------
    X : array or sparse matrix of shape (n_samples, n_features)
        The samples. Sparse ones are not looked at: most of their values are zero.
    output : Output
        The network's output, fitted.
    targets : ndarray of shape (n_samples, ...)
        The encoded targets.
    weight : float64 ndarray of shape (n_samples,)
        The weight of each sample in the loss.
    rows : integer ndarray
        The rows that are trained on.
    """

    can_go_on = True

    def __init__(self, X: Any, output: Output, targets: Array, weight: Array, rows: Array) -> None:
        self._data: tuple[Any, Array, Array, Array] | None = X, targets, weight, rows
        self._output = output
        self._loss = 0.0

    def end_epoch(self, epoch: int, stats: dict[str, float]) -> bool:
        """Remember the loss."""
        self._loss = stats["loss"]
        return False

    def end(self) -> None:
        """Warn, if there is reason to."""
        assert self._data is not None
        X, targets, weight, rows = self._data
        if scipy.sparse.issparse(X):
            return
        scores = np.zeros((len(rows), self._output.n_outputs_))
        total, whole = self._output.loss(NumpyOps(), scores, targets[rows], weight[rows])
        if self._loss < _NO_BETTER * float(total) / float(whole):
            return
        largest = float(np.sqrt(np.einsum("ij,ij->j", X, X, dtype=np.float64).max() / len(X)))
        if _SMALLEST <= largest <= _LARGEST or not largest:
            return
        power = round(float(np.log10(largest)))  # equal for the folds of a search
        warnings.warn(
            "The training loss is no better than a constant prediction's, and the largest feature of X is of the order "
            f"of 1e{power:+03d}. Networks learn from features of about unit scale: put a "
            "sklearn.preprocessing.StandardScaler before the estimator, as in make_pipeline(StandardScaler(), "
            "estimator).",
            ConvergenceWarning,
            stacklevel=2,
        )

    def close(self) -> None:
        """Release the data."""
        self._data = None
