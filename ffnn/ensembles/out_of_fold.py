"""Predictions of rows by the models that have not trained on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ffnn._utils._private import num_samples, safe_indexing
from ffnn.ensembles.average import Blocks, Targets
from ffnn.ensembles.runs import Fold
from ffnn.model import Array

__all__ = ["out_of_fold"]


def out_of_fold(targets: Targets, models: list[list[Any]], folds: list[Fold], X: Any) -> tuple[Array, Blocks]:
    """Average for each row the predictions of those models whose fold held it out.

    Parameters
    ----------
    targets : Targets
        The form of the predictions.
    models : list of list of estimator
        The models of each candidate, one for each fold.
    folds : list of tuple of ndarray
        The training and the test rows. A row that is among both is not held out.
    X : array-like or sparse matrix of shape (n_samples, n_features)
        The data.

    Returns
    -------
    rows : ndarray of shape (n_rows,)
        The rows that at least one fold held out.
    blocks : list of ndarray of shape (n_rows, n_columns)
        Their averaged predictions.
    """
    n_rows = num_samples(X)
    numbers = np.arange(n_rows)  # a splitter may give masks, or negative numbers
    sums: Blocks = []
    counts = np.zeros(n_rows)
    for fold, (train, test) in enumerate(folds):
        rows = np.setdiff1d(numbers[test], numbers[train])
        if not len(rows):
            continue
        held_out = safe_indexing(X, rows)
        for of_candidate in models:
            blocks = targets.blocks(of_candidate[fold], held_out)
            sums = sums or [np.zeros((n_rows, *block.shape[1:])) for block in blocks]
            for total, block in zip(sums, blocks, strict=True):
                total[rows] += block
            counts[rows] += 1
    rows = np.flatnonzero(counts)
    return rows, [block[rows] / counts[rows].reshape(-1, *[1] * (block.ndim - 1)) for block in sums]
