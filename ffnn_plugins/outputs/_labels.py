"""What the outputs of single-label classification share: labels to codes, and back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import scipy.sparse
from sklearn.metrics import accuracy_score
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets

from ffnn._utils.checks import check_number
from ffnn.exceptions import ExportError
from ffnn.model import Array
from ffnn.ops import Ops, Tensor
from ffnn.output import Output

__all__ = ["Array", "LabelOutput", "exported_probabilities", "inside", "is_labels"]


def is_labels(y: Any) -> bool:
    """Return whether ``y`` is one label a row."""
    return not scipy.sparse.issparse(y) and y.ndim == 1


def inside(probabilities: Array) -> Array:
    """Return probabilities clipped to strictly inside (0, 1), so that their logarithms are finite."""
    epsilon = np.finfo(probabilities.dtype).eps
    return np.clip(probabilities, epsilon, 1 - epsilon)


def exported_probabilities(ops: Ops, probabilities: Tensor) -> Tensor:
    """Return what :func:`inside` does, in array operations."""
    epsilon = np.finfo(np.float64).eps * ops.ones_like(probabilities)
    return ops.minimum(ops.maximum(probabilities, epsilon), 1 - epsilon)


class LabelOutput(Output):
    """An output for one label a row; its subclasses differ in scores and loss."""

    estimator_type = "classifier"
    needs_classes = True

    def adjust_tags(self, tags: Tags) -> None:
        tags.classifier_tags.multi_label = False

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

    def balance(self, class_weight: Any, y: Any, sample_weight: Array) -> None:
        if class_weight is None:
            return
        if isinstance(class_weight, str):
            if class_weight != "balanced":
                raise ValueError(f"class_weight={class_weight!r}: expected a dict, 'balanced' or None.")
            # scikit-learn's: each class as much as the others together
            counts = np.bincount(self._codes(y), weights=sample_weight, minlength=len(self.classes_))
            self.class_weights_ = sample_weight.sum() / (len(self.classes_) * np.maximum(counts, 1e-300))
            return
        if not isinstance(class_weight, Mapping):
            raise TypeError(
                f"class_weight={class_weight!r}: expected a dict from class to weight, 'balanced' or None; "
                f"got {type(class_weight).__name__}."
            )
        unknown = [label for label in class_weight if label not in self.classes_]
        if unknown:
            raise ValueError(
                f"class_weight has the classes {unknown[:10]}, which y has not; its classes are "
                f"{self.classes_[:10].tolist()}. A class that is left out weighs 1."
            )
        weights = [class_weight.get(label, 1.0) for label in self.classes_.tolist()]
        named = zip(self.classes_.tolist(), weights, strict=True)
        self.class_weights_ = np.array([check_number(f"class_weight[{c!r}]", w, "It is a factor.") for c, w in named])

    def weigh(self, y: Any, sample_weight: Array) -> Array:
        return np.asarray(sample_weight * self.class_weights_[self._codes(y)])

    def _exported_label(self, ops: Ops, codes: Tensor) -> Tensor:
        """Return the classes of these codes.

        Raises
        ------
        ExportError
            If they are neither numbers nor strings.
        """
        classes = np.array(self.classes_.tolist())
        if classes.dtype.kind not in "biufU" or len({type(label) for label in self.classes_.tolist()}) > 1:
            raise ExportError(
                f"classes_={self.classes_[:10].tolist()}: expected numbers or strings, all of one type, which other "
                "programs have too. Fit the estimator to str(label), or to codes of sklearn.preprocessing.LabelEncoder."
            )
        return ops.take(classes, codes)

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
