"""The classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import column_or_1d

from ffnn._utils.checks import check_classes
from ffnn._utils.sparse_check import checked_sparse
from ffnn.estimator.base import BaseMLP
from ffnn.model import Array

if TYPE_CHECKING:
    from ffnn.builder import Builder
    from ffnn.input import Input
    from ffnn.layer import Layer
    from ffnn.output import Output
    from ffnn.schedules import Schedule
    from ffnn.solver import Solver

__all__ = ["MLPClassifier"]


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multilayer perceptron classifier: binary, multiclass and multilabel.

    Parameters
    ----------
    hidden_units : int or sequence of int, default=(256,)
        The units of each hidden layer; ``()`` is a linear model.
    batch_size : int, default=64
        The samples of a step. The last batch of an epoch may have fewer.
    n_epochs : int or "auto", default="auto"
        The passes over the data; for ``solver="lbfgs"``, the most iterations. ``"auto"`` is 10, or 200 for it.
    dropout : float or None, default=None
        The share of the inputs of every affine layer, the output's too, that is dropped in training, in [0, 1).
    activation : str, callable or None, default="relu"
        The activation of the hidden layers: ``"relu"``, ``"tanh"``, ``"sigmoid"``, ``"elu"``, ``"selu"`` (which brings
        alpha dropout), ``"gelu"``, ``"silu"``, ``"mish"``, ``"softplus"`` or ``"leaky_relu"``; a function of a tensor
        that the builder's engine understands; None for linear.
    builder : str or Builder, default="tf"
        What builds and trains the network: ``"tf"``, ``"keras"``, a plugin's name, or an instance such as
        ``KerasBuilder(build=my_function)``.
    block : sequence of str or Layer, default=("dropout", "affine", "activation")
        The recipe of one hidden layer, repeated for each of ``hidden_units``.
    input_layer : str or Input, default="auto"
        What takes X in: ``"dense"``, ``"sparse"``, a plugin's name, an instance, or by the type of X.
    output_layer : str or Output, default="auto"
        What owns y: ``"binary"``, ``"multiclass"``, ``"multilabel"``, a plugin's name, an instance, or by the type
        of y.
    solver : str or Solver, default="adam"
        ``"adam"``, ``"adamw"``, ``"sgd"``, ``"rmsprop"``, ``"adagrad"``, ``"lbfgs"``, or an instance such as
        ``ffnn.Adam(beta_1=0.8)``, whose parameters are grid axes (``solver__beta_1``).
    learning_rate : float, str, Schedule or callable, default=1e-3
        The size of a step; a schedule or its name, such as ``ffnn.Cosine(1e-3)`` whose parameters are grid axes
        (``learning_rate__initial``); or a function of a step's number.
    weight_decay : float, default=0.0
        The strength of the pull of the kernels towards zero: as an L2 penalty, or decoupled with ``"adamw"``.
    early_stopping : bool or "training", default=False
        Whether to stop when the validation data sees no improvement any more, and to go back to the best epoch; or,
        with ``"training"``, when the training's own loss falls no more, as scikit-learn's networks do.
    validation_fraction : float, default=0.1
        The share of the samples that ``early_stopping`` sets apart, of each class alike, unless ``X_val`` is given.
    n_iter_no_change : int, default=10
        The epochs without an improvement after which to stop.
    tol : float, default=1e-4
        What counts as an improvement.
    scoring : str or callable, default="loss"
        What is measured on the validation data: ``"loss"``, or a scikit-learn scorer, or its name.
    class_weight : dict, list of dict, "balanced" or None, default=None
        How much each class counts in the loss: by label; ``"balanced"`` gives each class the same weight in all.
        Labels that y lacks are ignored, since a fold may lack them. For multilabel targets a list of
        ``{0: weight, 1: weight}``, one a label.
    dtype : {"auto", "float32", "float64", "mixed_bfloat16"}, default="auto"
        What to compute in; ``"auto"`` is float64 for ``"lbfgs"`` and for tiny data, else float32. With
        ``"mixed_bfloat16"`` hidden layers compute in bfloat16; weights, scores and losses are float32.
    device : str or None, default=None
        Where to compute: ``"cpu"``, ``"gpu"`` or, where there are several, ``"gpu:1"``; None is the engine's choice, or
        what the builder says.
    warm_start : bool, default=False
        Whether another ``fit`` goes on with the weights and the solver's memory, for ``n_epochs`` more.
    verbose : int or bool, default=0
        1 or True shows a bar of epochs with the loss, the validation's figures and the time that is left.
    random_state : int, RandomState instance or None, default=None
        What initial weights, the order of samples and dropout follow from. An int makes ``fit`` repeatable.
    transform_layer_index : int, default=-1
        The hidden layer that ``transform`` gives the values of, counted from 0, or from the end with -1.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, those of samples of weight 0 among them; ``arange(n_labels)`` for multilabel targets.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where X had such.
    loss_curve_ : list of float
        The mean training loss of each epoch, without the penalty of ``weight_decay``.
    validation_loss_curve_, validation_scores_ : list of float
        The validation data's loss and, with another ``scoring``, its score after each epoch; where there is such data.
        They have as many entries as ``loss_curve_``, NaN for the epochs of a call without such data.
    best_epoch_ : int
        The epoch, counted from 0, of the last fit with such data in which the score was best; or the loss, where there
        is no other ``scoring`` or its score was NaN in each epoch.
    n_iter_ : int
        The epochs done.
    coefs_, intercepts_ : list of ndarray
        Kernels of shape (n_inputs, n_outputs) and biases of the affine layers, in scikit-learn's layout.
    network_ : Network
        The description of the network.
    model_ : object
        The engine's own model: a ``keras.Model`` for ``builder="keras"``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from ffnn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> MLPClassifier(n_epochs=50, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    classes_: Array

    def __init__(
        self,
        hidden_units: int | Sequence[int] = (256,),
        batch_size: int = 64,
        n_epochs: int | str = "auto",
        dropout: float | None = None,
        activation: str | Callable[[Any], Any] | None = "relu",
        builder: str | Builder = "tf",
        block: Sequence[str | Layer] = ("dropout", "affine", "activation"),
        input_layer: str | Input = "auto",
        output_layer: str | Output = "auto",
        solver: str | Solver = "adam",
        learning_rate: float | str | Schedule | Callable[[int], float] = 1e-3,
        weight_decay: float = 0.0,
        early_stopping: bool | str = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        scoring: str | Callable[..., float] = "loss",
        class_weight: Mapping[Any, float] | Sequence[Mapping[Any, float]] | str | None = None,
        dtype: str = "auto",
        device: str | None = None,
        warm_start: bool = False,
        verbose: int | bool = 0,
        random_state: Any = None,
        transform_layer_index: int = -1,
    ) -> None:
        super().__init__(
            hidden_units=hidden_units,
            batch_size=batch_size,
            n_epochs=n_epochs,
            dropout=dropout,
            activation=activation,
            builder=builder,
            block=block,
            input_layer=input_layer,
            output_layer=output_layer,
            solver=solver,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            scoring=scoring,
            dtype=dtype,
            device=device,
            warm_start=warm_start,
            verbose=verbose,
            random_state=random_state,
            transform_layer_index=transform_layer_index,
        )
        self.class_weight = class_weight

    def decision_function(self, X: Any) -> Array:
        """Return the network's scores before sigmoid or softmax.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the log-odds of the second, of shape (n_samples,).
        """
        return self._output.decision(self._scores(X))

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, or of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        float64 ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``, strictly between 0 and 1. Multilabel rows need not sum to 1. After a fit
            whose samples all have one class, that class is certain.

        Notes
        -----
        scikit-learn's ``cross_val_predict(method="predict_proba")`` encodes each column of an indicator matrix, −1 as a
        class of its own. Where labels are missing, fit each fold by hand; the page on outputs shows how.
        """
        return self._output.probabilities(self._scores(X))

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of :meth:`predict_proba`; the arguments and shapes are the same."""
        return np.asarray(np.log(self.predict_proba(X)))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy; for multilabel, the share of samples whose known labels are all predicted right.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            The true labels; −1 marks a missing one in an indicator matrix.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each sample.
        """
        return self._output.score(checked_sparse("y", y), self.predict(X), sample_weight)

    def _validate_y(self, y: Any) -> Any:
        if scipy.sparse.issparse(y):
            return y
        # a column of labels is one label a row, with scikit-learn's own warning, unless it is said to be an indicator
        indicator = self.output_layer != "auto" and self.__sklearn_tags__().classifier_tags.multi_label
        if y.ndim == 2 and y.shape[1] == 1 and not indicator:
            return column_or_1d(y, warn=True)
        return y

    def _learned(self, output: Output) -> None:
        self.classes_ = output.classes_

    def _check_classes(self, classes: Any) -> None:
        if not np.array_equal(check_classes(classes), self.classes_):
            raise ValueError(
                f"classes={classes!r} is not the same as on the last call to partial_fit, {self.classes_!r}. "
                "Leave it out after the first call, or fit a new estimator."
            )

    def _check_same_classes(self, y: Any) -> None:
        if not self._output.needs_classes:  # labels are columns, of which the output knows the number
            return
        classes = np.unique(y)
        if not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"warm_start=True needs a y with the same classes as before: expected {self.classes_[:10].tolist()}, "
                f"got {classes[:10].tolist()}. Use partial_fit for a part of the data, or set warm_start=False."
            )

    def _estimator_type_name(self) -> str:
        return "classifier"

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return self._adjust_tags(tags)
