"""What the outputs of single-label classification share: labels to codes, and back."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np
import scipy.sparse
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets

from ffnn.output import Output

__all__ = ["Array", "LabelOutput", "inside", "is_labels"]

Array = np.ndarray[Any, np.dtype[Any]]


def is_labels(y: Any) -> bool:
    """Return whether ``y`` is one label a row."""
    return not scipy.sparse.issparse(y) and y.ndim == 1


def inside(probabilities: Array) -> Array:
    """Return probabilities clipped to strictly inside (0, 1), so that their logarithms are finite."""
    epsilon = np.finfo(probabilities.dtype).eps
    return np.clip(probabilities, epsilon, 1 - epsilon)


class LabelOutput(Output):
    """An output for one label a row; its subclasses differ in scores and loss."""

    estimator_type = "classifier"
    needs_classes = True

    def fit(self, y: Any, classes: Array | None, sample_weight: Array) -> Self:
        check_classification_targets(y)
        self.classes_ = np.unique(y) if classes is None else np.unique(np.asarray(classes))
        # with `classes` given (partial_fit), later chunks bring the other ones
        weighted = np.unique(y[sample_weight > 0]) if classes is None else self.classes_
        if len(weighted) < 2:
            raise ValueError(
                f"y has only one class with a positive sample weight, {weighted.tolist()}; expected samples of at "
                "least two classes. Check the labels, the split and sample_weight, or use partial_fit(classes=...)."
            )
        self._learn(len(self.classes_))
        return self

    @abstractmethod
    def _learn(self, n_classes: int) -> None:
        """Set ``n_outputs_``, or refuse this number of classes."""

    def _codes(self, y: Any) -> Array:
        """Return the index in ``classes_`` of each label."""
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y has labels that are not among the classes: {unknown[:10].tolist()}; the classes are "
                f"{self.classes_[:10].tolist()}. Name every label in the first partial_fit(classes=...), or fit anew."
            )
        return np.asarray(np.searchsorted(self.classes_, y))

    def score(self, y: Any, predictions: Array, sample_weight: Array | None) -> float:
        return float(accuracy_score(y, predictions, sample_weight=sample_weight))
