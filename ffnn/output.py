"""The base class of outputs, which handle everything about y.

An output defines the targets it accepts, their encoding, the loss, the probabilities and the predictions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator

from ffnn._utils.documentation import DocumentedMixin
from ffnn._utils.keys import parameters_key
from ffnn.exceptions import ExportError
from ffnn.model import Array

if TYPE_CHECKING:
    from sklearn.utils import Tags

    from ffnn.layer import Layer
    from ffnn.native import NativeLoss
    from ffnn.ops import Ops, Tensor

__all__ = ["Output", "encoded_by", "values_met"]


class Output(DocumentedMixin, BaseEstimator, ABC):
    """Handles everything about y.

    The estimator fits a clone of the user's output, so that its parameter is never modified.

    Attributes
    ----------
    n_outputs_ : int
        The number of scores per row, set by :meth:`fit`.
    classes_ : ndarray
        The classes, in the order of the scores; for classifiers only.
    """

    #: The kind of estimator it is for: ``"classifier"`` or ``"regressor"``.
    estimator_type: ClassVar[str]
    #: Keras's name of the activation by which an exported Keras model turns scores into its result.
    activation: ClassVar[str | None] = None
    #: Whether the first ``partial_fit`` needs ``classes``.
    needs_classes: ClassVar[bool] = False
    #: The layers from the last hidden block to the scores; ``units`` binds to ``n_outputs_``.
    head: Sequence[str | Layer] = ("dropout", "affine")

    n_outputs_: int

    @classmethod
    @abstractmethod
    def accepts(cls, y: Any, classes: Array | None) -> bool:
        """Return whether ``output_layer="auto"`` may choose this output for these targets.

        Parameters
        ----------
        y : ndarray or sparse matrix
            The targets, without NaN.
        classes : ndarray or None
            The ``classes`` of ``partial_fit``.
        """

    @abstractmethod
    def fit(self, y: Any, classes: Array | None, sample_weight: Array) -> Self:
        """Learn what encoding and decoding need, such as the classes.

        Raises
        ------
        ValueError
            If this output does not support these targets.
        """

    def balance(self, class_weight: Any, y: Any, sample_weight: Array) -> None:
        """Learn the class weights; called after :meth:`fit` and, on a copy, in each later call of the estimator.

        Parameters
        ----------
        class_weight : dict, list of dict, "balanced" or None
            The estimator's parameter; with None all classes have the same weight.
        y : ndarray or sparse matrix
            The training targets.
        sample_weight : float64 ndarray of shape (n_samples,)
            The weight of each sample.

        Raises
        ------
        TypeError, ValueError
            If ``class_weight`` does not suit these targets.
        """
        if class_weight is not None:
            raise ValueError(f"class_weight={class_weight!r}: {type(self).__name__} has no classes to weigh. Use None.")

    def weigh(self, y: Any, sample_weight: Array) -> Array:
        """Return the sample weights times the class weights, after :meth:`balance` by anything but None."""
        return sample_weight

    def taught(self, y: Any, sample_weight: Array) -> Array:
        """Return for each score whether any of these targets trains it, as a boolean array of shape (n_outputs,).

        Called after :meth:`balance`. By default every sample of positive weight trains all scores.

        Parameters
        ----------
        y : ndarray or sparse matrix
            Targets.
        sample_weight : float64 ndarray of shape (n_samples,)
            The weight of each sample, including its class weight.
        """
        return np.full(self.n_outputs_, bool(np.any(sample_weight)))

    @abstractmethod
    def encode(self, y: Any, dtype: str) -> Array:
        """Return the targets as the loss takes them: integers, or floats of ``dtype``; one entry or row per sample.

        Raises
        ------
        ValueError
            If ``y`` has another shape than in :meth:`fit`, or unknown labels.
        """

    @abstractmethod
    def loss(self, ops: Ops, scores: Tensor, targets: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted sum of the losses of a batch, and the total weight by which the builder divides it.

        Parameters
        ----------
        ops : Ops
            The builder's array operations.
        scores : tensor of shape (n_rows, n_outputs)
            The network's scores.
        targets : tensor of shape (n_rows,) or (n_rows, n_outputs)
            A batch of encoded targets; see :meth:`encode`.
        weight : tensor of shape (n_rows,)
            The sample weights.
        """

    @abstractmethod
    def decode(self, scores: Array) -> Array:
        """Return the predictions for scores of shape (n_rows, n_outputs)."""

    @abstractmethod
    def score(self, y: Any, predictions: Array, sample_weight: Array | None) -> float:
        """Return scikit-learn's default score for this kind of target."""

    def in_units(self, gradients: Array) -> Array:
        """Convert gradients of the scores, of shape (n_rows, n_outputs, n_features), to the unit of the targets.

        By default they stay those of the scores, before the activation.
        """
        return gradients

    def decision(self, scores: Array) -> Array:
        """Return the scores in the shape that scikit-learn gives a decision function."""
        return scores

    def probabilities(self, scores: Array) -> Array:
        """Return class probabilities, strictly between 0 and 1; for classifiers only."""
        raise TypeError(f"{type(self).__name__} has no probabilities: it is a {self.estimator_type}'s output.")

    def export(self, ops: Ops, scores: Tensor) -> dict[str, Tensor]:
        """Return the named results of an exported model.

        Parameters
        ----------
        ops : Ops
            The array operations of the format: TensorFlow's, ONNX's, or NumPy's.
        scores : tensor of shape (n_rows, n_outputs)
            The network's scores.

        Returns
        -------
        dict of str to tensor
            For a classifier ``"label"``, as of :meth:`decode`, and ``"probabilities"``, as of :meth:`probabilities`;
            for a regressor ``"value"``, as of :meth:`decode`.

        Raises
        ------
        ExportError
            If the output does not implement this method.
        """
        raise ExportError(
            f"{type(self).__name__} does not implement export(ops, scores), which expresses its predictions in array "
            "operations. Implement it, or use format='keras', which does not need it."
        )

    def to_keras(self, keras: Any, scores: Any, dtype: str) -> Any:
        """Return the result of an exported Keras model, such as probabilities, as a Keras tensor.

        Parameters
        ----------
        keras : module
            The ``keras`` module.
        scores : keras.KerasTensor
            The network's scores.
        dtype : str
            The dtype for every Keras layer.
        """
        if self.activation is None:
            return scores
        return keras.layers.Activation(self.activation, name=f"output_{self.activation}", dtype=dtype)(scores)

    def to_native(self) -> NativeLoss | None:
        """Return the fitted output's loss in the ``native`` builder; None, the default, if there is no such loss."""
        return None

    def adjust_tags(self, tags: Tags) -> None:
        """Adjust the scikit-learn tags of an estimator with this ``output_layer``; by default leave them unchanged."""

    def structure(self) -> Hashable:
        """Return a key of all that a traced program depends on; add what the loss uses of the fitted attributes."""
        return (parameters_key(self), self.n_outputs_)


def _values(y: Any) -> Array | None:
    """Return the distinct values of a numeric matrix; None for anything else."""
    values = y.data if scipy.sparse.issparse(y) else np.asarray(y)
    return np.unique(values) if y.ndim == 2 and values.dtype.kind in "biuf" else None


def values_met(y: Any) -> str:
    """Return the part of an error message that lists the values of targets with several columns."""
    values = _values(y)
    if values is None:
        return ""
    more = f" and {len(values) - 10} more" if len(values) > 10 else ""
    return f", with the values {values[:10].tolist()}{more}"


def encoded_by(y: Any) -> str:
    """Return the part of an error message that explains a 2 in an indicator matrix; empty if there is none."""
    values = _values(y)
    if values is None or not len(values) or values[-1] != 2 or not np.isin(values, (0, 1, 2)).all():
        return ""
    return (
        " If y had -1 in it, its columns were encoded, as scikit-learn's cross_val_predict does for predict_proba "
        "and decision_function: -1, 0, 1 became 0, 1, 2. Fit each fold yourself then."
    )
