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
from ffnn._utils.other_names import explains_unknown_names
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
        The number of samples per step. The last batch of an epoch may be smaller.
    n_epochs : int or "auto", default="auto"
        The number of epochs; for ``solver="lbfgs"``, the maximum number of iterations. ``"auto"`` is 10, or as many as
        make up 1,000 steps, if that is more, but at most 200; and 200 for ``"lbfgs"``.
    dropout : float or None, default=None
        The fraction of the inputs dropped in training, in [0, 1), for every affine layer including the output's.
    activation : str, callable or None, default="relu"
        The activation of the hidden layers: ``"relu"``, ``"tanh"``, ``"sigmoid"``, ``"elu"``, ``"selu"`` (with alpha
        dropout), ``"gelu"``, ``"silu"``, ``"mish"``, ``"softplus"`` or ``"leaky_relu"``; a function of a tensor
        of the builder's engine, which is TensorFlow for ``"auto"``; None for linear.
    builder : str or Builder, default="auto"
        The builder of the network: ``"native"``, ``"tf"``, ``"keras"``, a plugin's name, or an instance such as
        ``KerasBuilder(build=my_function)``. ``"auto"`` is ``"native"`` where it can train the network and is expected
        to be as fast, else ``"tf"``, by the network, the shape of X, the batch size and the device alone; the page on
        builders has the rule. Builders agree to rounding, except that ``"native"`` draws other masks of dropout.
    block : sequence of str or Layer, default=("dropout", "affine", "activation")
        The layers of a hidden block, repeated for each of ``hidden_units``.
    input_layer : str or Input, default="auto"
        How X is converted: ``"dense"``, ``"sparse"``, a plugin's name or an instance; ``"auto"`` depends on X.
    output_layer : str or Output, default="auto"
        How y is handled: ``"binary"``, ``"multiclass"``, ``"multilabel"``, a plugin's name or an instance; ``"auto"``
        depends on the type of y.
    solver : str or Solver, default="adam"
        ``"adam"``, ``"adamw"``, ``"sgd"``, ``"rmsprop"``, ``"adagrad"``, ``"lbfgs"``, or an instance such as
        ``ffnn.Adam(beta_1=0.8)``, whose parameters can be searched over (``solver__beta_1``).
    learning_rate : float, str, Schedule or callable, default=1e-3
        The learning rate; a schedule or its name, such as ``ffnn.Cosine(1e-3)``, whose parameters can be searched over
        (``learning_rate__initial``); or a function of a step's number.
    weight_decay : float, default=0.0
        The strength of the weight decay of the kernels: an L2 penalty, or decoupled with ``"adamw"``.
    early_stopping : bool or "training", default=False
        Whether to stop when the validation score stops improving, and restore the best epoch's weights; with
        ``"training"``, stop when the training loss stops falling, as scikit-learn's networks do.
    validation_fraction : float, default=0.1
        The fraction of the samples held out for ``early_stopping``, stratified by class, unless ``X_val`` is given.
    n_iter_no_change : int, default=10
        The number of epochs without improvement after which to stop.
    tol : float, default=1e-4
        The smallest change that counts as an improvement.
    scoring : str or callable, default="loss"
        The validation score: ``"loss"``, or a scikit-learn scorer or its name.
    class_weight : dict, list of dict, "balanced" or None, default=None
        The weight of each class in the loss, by label; ``"balanced"`` gives all classes the same total weight. Labels
        that y lacks are ignored, since a fold may lack them. For multilabel targets a list of
        ``{0: weight, 1: weight}``, one per label.
    dtype : {"auto", "float32", "float64", "mixed_bfloat16"}, default="auto"
        The dtype of computations; ``"auto"`` is float64 for ``"lbfgs"`` and for tiny data, else float32. With
        ``"mixed_bfloat16"`` hidden layers compute in bfloat16; weights, scores and losses are float32.
    device : str or None, default=None
        The device: ``"cpu"``, ``"gpu"`` or, if there are several, ``"gpu:1"``; None for the builder's or the engine's
        default.
    warm_start : bool, default=False
        Whether another ``fit`` continues with the weights and the solver's state, for ``n_epochs`` more.
    verbose : int or bool, default=0
        1 or True shows a progress bar with the loss, the validation scores and the remaining time.
    random_state : int, RandomState instance or None, default=None
        The seed of the initial weights, the order of samples and dropout. An int makes ``fit`` reproducible.
    transform_layer_index : int, default=-1
        The hidden layer whose output ``transform`` returns, counted from 0, or from the end if negative.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, including those of samples of weight 0; ``arange(n_labels)`` for multilabel targets.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the features, if X has any.
    loss_curve_ : list of float
        The mean training loss of each epoch, without the penalty of ``weight_decay``.
    validation_loss_curve_, validation_scores_ : list of float
        The validation loss and, with another ``scoring``, the validation score after each epoch, if there is validation
        data. They have as many entries as ``loss_curve_``, NaN for the epochs of calls without validation data.
    best_epoch_ : int
        The epoch, counted from 0, with the best validation score in the last fit with validation data; or with the best
        loss, if there is no other ``scoring`` or all scores were NaN.
    n_iter_ : int
        The number of epochs so far.
    coefs_, intercepts_ : list of ndarray
        Kernels of shape (n_inputs, n_outputs) and biases of the affine layers, in scikit-learn's layout.
    network_ : Network
        The description of the network.
    builder_ : str
        The name of the builder that trained the network: of those that ``builder="auto"`` chooses from, the one chosen.
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

    @explains_unknown_names
    def __init__(
        self,
        hidden_units: int | Sequence[int] = (256,),
        batch_size: int = 64,
        n_epochs: int | str = "auto",
        dropout: float | None = None,
        activation: str | Callable[[Any], Any] | None = "relu",
        builder: str | Builder = "auto",
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
        """Return the network's scores, before the sigmoid or softmax.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the log-odds of the second one, of shape (n_samples,).
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
        scikit-learn's ``cross_val_predict(method="predict_proba")`` encodes each column of an indicator matrix, with −1
        as a class. If labels are missing, fit each fold yourself; the page on outputs shows how.
        """
        return self._output.probabilities(self._scores(X))

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithm of :meth:`predict_proba`, with the same argument and shape."""
        return np.asarray(np.log(self.predict_proba(X)))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy; for multilabel targets, the fraction of samples with all known labels correct.

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
        # a column of labels is one label per row, with scikit-learn's warning, unless the output takes indicators
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
        if not self._output.needs_classes:  # labels are columns, whose number the output checks
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
