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

__all__ = ["warn_of_scale"]

#: The root mean square of the largest feature between which a network is expected to learn.
_SMALLEST, _LARGEST = 1e-2, 1e2
#: A loss of more than this part of that of constant scores is no better than it.
_NO_BETTER = 0.95


def warn_of_scale(X: Any, output: Output, targets: Array, weight: Array, loss: float) -> None:
    """Warn if the training loss is no better than that of scores of zero, and features have an extreme scale.

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
    loss : float
        The training loss of the last epoch.
    """
    if scipy.sparse.issparse(X):
        return
    scores = np.zeros((len(weight), output.n_outputs_))
    total, whole = output.loss(NumpyOps(), scores, targets, weight)
    if loss < _NO_BETTER * float(total) / float(whole):
        return
    largest = float(np.sqrt(np.einsum("ij,ij->j", X, X, dtype=np.float64).max() / len(X)))
    if _SMALLEST <= largest <= _LARGEST or not largest:
        return
    power = round(float(np.log10(largest)))  # equal for the folds of a search
    warnings.warn(
        f"The training loss is no better than a constant prediction's, and the largest feature of X is of the order of "
        f"1e{power:+03d}. Networks learn from features of about unit scale: put a sklearn.preprocessing.StandardScaler "
        "before the estimator, as in make_pipeline(StandardScaler(), estimator).",
        ConvergenceWarning,
        stacklevel=2,
    )
