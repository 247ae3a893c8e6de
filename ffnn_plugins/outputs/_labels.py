"""The base of the single-label classification outputs: converts labels to codes and back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import scipy.sparse
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets

from ffnn._utils.checks import check_number
from ffnn.exceptions import ExportError
from ffnn.model import Array
from ffnn.ops import Ops, Tensor
from ffnn.output import Output

__all__ = ["Array", "LabelOutput", "clipped", "exported_probabilities", "is_labels"]


#: Up to so many classes scikit-learn does not ask whether labels are numbers to be predicted.
_FEW = 20
#: A score whose probability is 1 in float64.
_CERTAIN_SCORE = 40.0


def is_labels(y: Any) -> bool:
    """Return whether ``y`` has one label per row."""
    return not scipy.sparse.issparse(y) and y.ndim == 1


def _surely_labels(y: Any) -> bool:
    """Return whether ``y`` is a vector of integers, truth values or strings, all of which are labels."""
    return type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in "biuU"


def clipped(probabilities: Array) -> Array:
    """Return probabilities clipped to the open interval (0, 1), so that their logarithms are finite."""
    epsilon = np.finfo(probabilities.dtype).eps
    return np.clip(probabilities, epsilon, 1 - epsilon)


def exported_probabilities(ops: Ops, probabilities: Tensor) -> Tensor:
    """Return the same as :func:`clipped`, in array operations."""
    epsilon = np.finfo(np.float64).eps * ops.ones_like(probabilities)
    return ops.minimum(ops.maximum(probabilities, epsilon), 1 - epsilon)


class LabelOutput(Output):
    """Base class for outputs with one label per row; subclasses define the scores and the loss.

    If all samples of positive weight have one class, every prediction is that class with certainty, until a later call
    trains on another one.
    """

    estimator_type = "classifier"
    needs_classes = True

    #: Whether each class has had a sample of positive weight; None means all, as when ``partial_fit`` named them.
    seen_: Array | None = None

    def adjust_tags(self, tags: Tags) -> None:
        tags.classifier_tags.multi_label = False

    def fit(self, y: Any, classes: Array | None, sample_weight: Array) -> Self:
        self.classes_ = np.unique(y if classes is None else np.asarray(classes))
        if not _surely_labels(y) or len(self.classes_) > _FEW:
            check_classification_targets(y)  # which also warns of labels that look like numbers
        # with `classes` given (partial_fit), later chunks may contain the other classes
        self.seen_ = None if classes is not None else np.zeros(len(self.classes_), dtype=bool)
        self._learn(len(self.classes_))
        return self

    @abstractmethod
    def _learn(self, n_classes: int) -> None:
        """Set ``n_outputs_``, or raise ValueError for this number of classes."""

    def balance(self, class_weight: Any, y: Any, sample_weight: Array) -> None:
        if class_weight is not None:
            self.class_weights_ = self._weights_of(class_weight, y, sample_weight)
        if self.seen_ is not None and not self.seen_.all():  # a later call may contain missing classes
            codes = self._codes(y[sample_weight > 0])
            seen = np.bincount(codes, minlength=len(self.classes_)) > 0
            self.seen_ = self.seen_ | (seen if class_weight is None else seen & (self.class_weights_ > 0))

    def _weights_of(self, class_weight: Any, y: Any, sample_weight: Array) -> Array:
        """Return the weight of each class."""
        if isinstance(class_weight, str):
            if class_weight != "balanced":
                raise ValueError(f"class_weight={class_weight!r}: expected a dict, 'balanced' or None.")
            # as in scikit-learn, all classes get the same total weight; those without a sample keep 1
            counts = np.bincount(self._codes(y), weights=sample_weight, minlength=len(self.classes_))
            there = counts > 0
            return np.where(there, counts.sum() / (there.sum() * np.where(there, counts, 1.0)), 1.0)
        if not isinstance(class_weight, Mapping):
            raise TypeError(
                f"class_weight={class_weight!r}: expected a dict from class to weight, 'balanced' or None; "
                f"got {type(class_weight).__name__}."
            )
        for label, weight in class_weight.items():
            check_number(f"class_weight[{label!r}]", weight, "It is the factor of the class's sample weights.")
        self._check_label_types(class_weight)
        return np.array([float(class_weight.get(label, 1.0)) for label in self.classes_.tolist()])

    def _check_label_types(self, class_weight: Mapping[Any, float]) -> None:
        """Refuse numeric keys of class weights where labels are strings, and vice versa.

        A class that y lacks may be missing from this fold only; a label of another type cannot be in any fold.
        """
        if self.classes_.dtype.kind not in "biufUS":
            return
        texts = self.classes_.dtype.kind in "US"
        wrong = [label for label in class_weight if isinstance(label, str | bytes) != texts]
        if wrong:
            raise ValueError(
                f"class_weight has the classes {wrong[:10]}, which cannot be in y: its classes are "
                f"{self.classes_[:10].tolist()}. Name them as y does. A class that is left out weighs 1."
            )

    def weigh(self, y: Any, sample_weight: Array) -> Array:
        return np.asarray(sample_weight * self.class_weights_[self._codes(y)])

    def _effective_scores(self, scores: Array) -> Array:
        """Return the scores; if only one class was ever trained on, scores that always predict that class."""
        constant = self._constant_scores()
        return scores if constant is None else np.broadcast_to(constant.astype(scores.dtype), scores.shape)

    def _exported_scores(self, ops: Ops, scores: Tensor) -> Tensor:
        """Return the same as :meth:`_effective_scores`, in array operations."""
        constant = self._constant_scores()
        return scores if constant is None else ops.zeros_like(scores) + ops.cast(constant, scores.dtype)

    def _constant_scores(self) -> Array | None:
        """Return the scores that predict the only class trained on; None if there were several."""
        seen = np.ones(1, dtype=bool) if len(self.classes_) == 1 else self.seen_
        if seen is None or seen.sum() != 1:
            return None
        if self.n_outputs_ == 1:
            return np.array([_CERTAIN_SCORE if seen.argmax() else -_CERTAIN_SCORE])
        return np.where(seen, _CERTAIN_SCORE, 0.0)

    def _exported_label(self, ops: Ops, codes: Tensor) -> Tensor:
        """Return the classes of these codes.

        Raises
        ------
        ExportError
            If the classes are neither numbers nor strings.
        """
        classes = np.array(self.classes_.tolist())
        if classes.dtype.kind not in "biufU" or len({type(label) for label in self.classes_.tolist()}) > 1:
            raise ExportError(
                f"classes_={self.classes_[:10].tolist()}: expected numbers or strings of one type, which other "
                "programs can read. Fit the estimator to str(label), or to codes of sklearn.preprocessing.LabelEncoder."
            )
        return ops.take(classes, codes)

    def _codes(self, y: Any) -> Array:
        """Return the index in ``classes_`` of each label."""
        if _surely_labels(y) and y.dtype == self.classes_.dtype:
            codes = np.searchsorted(self.classes_, y)
            if (self.classes_.take(codes, mode="clip") == y).all():
                return np.asarray(codes)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y has labels that are not among the classes: {unknown[:10].tolist()}; the classes are "
                f"{self.classes_[:10].tolist()}. Name every label in the first partial_fit(classes=...), or call fit."
            )
        return np.asarray(np.searchsorted(self.classes_, y))

    def score(self, y: Any, predictions: Array, sample_weight: Array | None) -> float:
        alike = sample_weight is None and _surely_labels(y) and y.dtype == predictions.dtype
        if alike and 0 < len(y) == len(predictions):
            return float(np.mean(y == predictions))  # without the checks of accuracy_score, which take far longer
        from sklearn.metrics import accuracy_score  # and with it all metrics, which a fit does not need

        return float(accuracy_score(y, predictions, sample_weight=sample_weight))
