"""What an output is: the plugin that owns everything about y.

Which targets it takes, how they are encoded, the loss, the probabilities, and how scores become predictions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

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

__all__ = ["Output"]


class Output(DocumentedMixin, BaseEstimator, ABC):
    """Owns everything about y.

    The estimator clones the user's output and fits the clone, so that a parameter is never changed.

    Attributes
    ----------
    n_outputs_ : int
        The number of scores a row, set by :meth:`fit`.
    classes_ : ndarray
        The classes, in the order of the scores; a classifier's output only.
    """

    #: ``"classifier"`` or ``"regressor"``: whose ``output_layer`` it can be.
    estimator_type: ClassVar[str]
    #: The function that turns scores into what a Keras model of this network returns, by Keras's name.
    activation: ClassVar[str | None] = None
    #: Whether the first ``partial_fit`` must be told all classes.
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
            All classes, where ``partial_fit`` was told them.
        """

    @abstractmethod
    def fit(self, y: Any, classes: Array | None, sample_weight: Array) -> Self:
        """Learn what decoding needs.

        Raises
        ------
        ValueError
            If this output cannot take these targets.
        """

    def balance(self, class_weight: Any, y: Any, sample_weight: Array) -> None:
        """Learn how much each class counts; called after :meth:`fit`, and for each later call, on a copy.

        Parameters
        ----------
        class_weight : dict, list of dict, "balanced" or None
            The estimator's; None says that all count alike.
        y : ndarray or sparse matrix
            The targets that are trained on.
        sample_weight : float64 ndarray of shape (n_samples,)
            The weight of each sample.

        Raises
        ------
        TypeError, ValueError
            If it does not suit these targets.
        """
        if class_weight is not None:
            raise ValueError(f"class_weight={class_weight!r}: {type(self).__name__} has no classes to weigh. Use None.")

    def weigh(self, y: Any, sample_weight: Array) -> Array:
        """Return the weight of each sample, its class's in it, after a :meth:`balance` by other than None."""
        return sample_weight

    @abstractmethod
    def encode(self, y: Any, dtype: str) -> Array:
        """Return the targets as the loss takes them: integers, or floats of ``dtype``; one entry or row a sample.

        Raises
        ------
        ValueError
            If ``y`` has another shape, or labels, than :meth:`fit` saw.
        """

    @abstractmethod
    def loss(self, ops: Ops, scores: Tensor, targets: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted sum of the losses of a batch, and the weight that it is to be divided by.

        Parameters
        ----------
        ops : Ops
            The builder's array operations.
        scores : tensor of shape (n_rows, n_outputs)
            What the network returns.
        targets : tensor of shape (n_rows,) or (n_rows, n_outputs)
            A batch of what :meth:`encode` returned.
        weight : tensor of shape (n_rows,)
            The sample weights.
        """

    @abstractmethod
    def decode(self, scores: Array) -> Array:
        """Return the predictions for scores of shape (n_rows, n_outputs)."""

    @abstractmethod
    def score(self, y: Any, predictions: Array, sample_weight: Array | None) -> float:
        """Return scikit-learn's default score for this kind of target."""

    def in_units(self, slopes: Array) -> Array:
        """Return slopes of the scores, of shape (n_rows, n_outputs, n_features), in the unit that users see.

        By default they are those of the scores themselves, before the activation.
        """
        return slopes

    def decision(self, scores: Array) -> Array:
        """Return the scores in the shape that scikit-learn gives a decision function."""
        return scores

    def probabilities(self, scores: Array) -> Array:
        """Return class probabilities, strictly inside (0, 1); a classifier's output only."""
        raise TypeError(f"{type(self).__name__} has no probabilities: it is a {self.estimator_type}'s output.")

    def export(self, ops: Ops, scores: Tensor) -> dict[str, Tensor]:
        """Return what an exported model gives for its scores, by name.

        Parameters
        ----------
        ops : Ops
            The array operations of the format: TensorFlow's, ONNX's, or NumPy's.
        scores : tensor of shape (n_rows, n_outputs)
            What the network returns.

        Returns
        -------
        dict of str to tensor
            For a classifier what :meth:`decode` returns, as ``"label"``, and what :meth:`probabilities` returns, as
            ``"probabilities"``; for a regressor what :meth:`decode` returns, as ``"value"``.

        Raises
        ------
        ExportError
            If the output does not say.
        """
        raise ExportError(
            f"{type(self).__name__} does not say in array operations what predictions it makes of scores. Write its "
            "method export(ops, scores), or use format='keras', which needs none."
        )

    def to_keras(self, keras: Any, scores: Any, dtype: str) -> Any:
        """Return the Keras tensor that a Keras model of this network ends in: what its user would call a prediction.

        Parameters
        ----------
        keras : module
            The ``keras`` module.
        scores : keras.KerasTensor
            The network's scores.
        dtype : str
            The dtype that every Keras layer must be given.
        """
        if self.activation is None:
            return scores
        return keras.layers.Activation(self.activation, name=f"output_{self.activation}", dtype=dtype)(scores)

    def to_native(self) -> NativeLoss | None:
        """Return which loss of the ``native`` builder a fitted output has; None, the default, if it is none."""
        return None

    def adjust_tags(self, tags: Tags) -> None:
        """Say in scikit-learn's tags what an estimator with this ``output_layer`` does not take; nothing by default."""

    def structure(self) -> Hashable:
        """Return what a traced program depends on; a loss that uses what :meth:`fit` has learned adds that here."""
        return (parameters_key(self), self.n_outputs_)
