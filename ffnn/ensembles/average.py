"""The mean of what several models predict.

A prediction is a list of *blocks*, arrays of shape (n_samples, n_columns) that can be averaged: probabilities of the
classes, one block for each output; probabilities of the labels; or predicted numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
from sklearn.utils.multiclass import type_of_target

from ffnn.model import Array

__all__ = ["Blocks", "Targets"]

Blocks = list[Array]


class Targets:
    """The form of y, and how predictions of this form become blocks and back.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The targets.
    is_classifier : bool
        Whether they are classes.

    Attributes
    ----------
    classes : list of ndarray
        The classes of each output; a list of [0, 1] for each label; empty for numbers.
    kind : {"numbers", "labels", "classes"}
        What is predicted.
    """

    def __init__(self, y: Any, is_classifier: bool) -> None:
        self.classes: list[Array] = []
        self.kind: str = "numbers"
        if not is_classifier:
            return
        if type_of_target(y, input_name="y") == "multilabel-indicator":
            self.kind = "labels"
            self.classes = [np.array([0, 1])] * _dense(y).shape[1]
            return
        self.kind = "classes"
        y = np.asarray(y)
        self.classes = [np.unique(column) for column in y.reshape(len(y), -1).T]

    @property
    def public_classes(self) -> Any:
        """The attribute ``classes_``: an array, or a list of one for each output; of labels, their numbers."""
        if self.kind == "labels":
            return np.arange(len(self.classes))
        return self.classes[0] if len(self.classes) == 1 else self.classes

    def blocks(self, model: Any, X: Any) -> Blocks:
        """Return what a model predicts; the prediction itself, as a vote, where it has no probabilities."""
        if self.kind == "numbers":
            return [np.asarray(model.predict(X), dtype=np.float64)]
        has_probabilities = hasattr(model, "predict_proba")
        predicted = model.predict_proba(X) if has_probabilities else _dense(model.predict(X))
        if self.kind == "labels":
            if isinstance(predicted, list):  # for each label, the probabilities of 0 and 1, if it has seen both
                one = np.array([1])
                columns = [_aligned(block, known, one) for block, known in zip(predicted, model.classes_, strict=True)]
                return [np.hstack(columns)]
            return [np.asarray(predicted, dtype=np.float64)]
        if not has_probabilities:
            votes = predicted.reshape(len(predicted), -1).T
            return [
                (column[:, None] == known).astype(np.float64) for column, known in zip(votes, self.classes, strict=True)
            ]
        if isinstance(predicted, list):
            return [
                _aligned(block, known, wanted)
                for block, known, wanted in zip(predicted, model.classes_, self.classes, strict=True)
            ]
        return [_aligned(predicted, model.classes_, self.classes[0])]

    def prediction(self, blocks: Blocks) -> Array:
        """Return the prediction that averaged blocks stand for."""
        if self.kind == "numbers":
            return blocks[0]
        if self.kind == "labels":
            return (blocks[0] > 0.5).astype(int)
        columns = [known[block.argmax(axis=1)] for block, known in zip(blocks, self.classes, strict=True)]
        return columns[0] if len(columns) == 1 else np.column_stack(columns)


def _dense(y: Any) -> Array:
    return y.toarray() if scipy.sparse.issparse(y) else np.asarray(y)


def _aligned(block: Any, known: Array, wanted: Array) -> Array:
    """Return the columns of the wanted classes; 0 for those that a model has not seen."""
    aligned = np.zeros((len(block), len(wanted)))
    where, column = np.nonzero(np.asarray(wanted)[:, None] == np.asarray(known))
    aligned[:, where] = np.asarray(block)[:, column]
    return aligned
