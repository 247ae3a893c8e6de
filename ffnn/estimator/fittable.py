"""The estimators' parameters, ``fit`` and ``partial_fit``."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if

from ffnn._utils.documentation import DocumentedMixin
from ffnn._utils.other_names import explains_unknown_names, unknown_parameter
from ffnn.estimator.callbacks import CallbackSupport
from ffnn.estimator.data import Arguments
from ffnn.estimator.fit import Fit
from ffnn.estimator.turns import one_at_a_time
from ffnn.exceptions import FfnnError
from ffnn.plugins import registry
from ffnn.training.validation import Held

if TYPE_CHECKING:
    from ffnn.builder import Builder
    from ffnn.input import Input
    from ffnn.layer import Layer
    from ffnn.output import Output
    from ffnn.schedules import Schedule
    from ffnn.solver import Solver

__all__ = ["Fittable", "Monitor"]

#: Called with the number of an epoch, the estimator and the epoch's figures.
Monitor = Callable[[int, Any, dict[str, float]], Any]


def _has_partial_fit(estimator: Fittable) -> bool:
    solver: Any = estimator.solver
    try:
        known = registry.load("solver", solver) if isinstance(solver, str) else solver
    except FfnnError:
        return True  # the call refuses it
    if not getattr(known, "stochastic", True):
        raise AttributeError(
            "partial_fit exists for the solvers that train by batches; 'lbfgs' takes all data at once."
        )
    return True


class Fittable(CallbackSupport, DocumentedMixin, BaseEstimator, ABC):
    """Has the parameters of the estimators, and trains them."""

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
        dtype: str = "auto",
        device: str | None = None,
        warm_start: bool = False,
        verbose: int | bool = 0,
        random_state: Any = None,
        transform_layer_index: int = -1,
    ) -> None:
        self.hidden_units = hidden_units
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.dropout = dropout
        self.activation = activation
        self.builder = builder
        self.block = block
        self.input_layer = input_layer
        self.output_layer = output_layer
        self.solver = solver
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.scoring = scoring
        self.dtype = dtype
        self.device = device
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state
        self.transform_layer_index = transform_layer_index

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the estimator, or with ``<parameter>__<name>`` of a solver, a schedule or a layer in it.

        Parameters
        ----------
        **params
            The parameters.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        known = self.get_params(deep=False)
        for name in params:
            if name.partition("__")[0] not in known:
                raise ValueError(unknown_parameter(type(self).__name__, name.partition("__")[0], known))
        estimator: Self = super().set_params(**params)
        return estimator

    # -- training -------------------------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        monitor: Monitor | None = None,
    ) -> Self:
        """Train, from new weights unless ``warm_start=True``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples. Any SciPy sparse format is taken; CSR needs no conversion.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            For a classifier class labels, numbers or strings, or a dense or sparse indicator matrix: for each label 1,
            0 or, where it is not known, −1. For a regressor numbers.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each sample in the loss; 0 is the same as leaving the sample out.
        X_val, y_val : array-like, optional
            Samples and targets, in the forms of X and y, that are not trained on but looked at after each epoch. In a
            pipeline, ``Pipeline(steps, transform_input=["X_val"])`` takes X_val through the steps before, as every
            pipeline does from scikit-learn 1.10 on. Without them, ``early_stopping=True`` sets a share of X apart. A
            search hands them to each fit whole, unless they have as many rows as X, when scikit-learn splits them as
            it splits X.
        sample_weight_val : array-like, optional
            The weight of each sample of X_val, in its loss and its score.
        monitor : callable, optional
            Called as ``monitor(epoch, estimator, stats)`` after each epoch, counted from 0, with the estimator ready to
            predict, ``stats["loss"]``, ``stats["learning_rate"]`` (of a solver that has one) and, where there is
            validation data, ``stats["validation_loss"]`` and ``stats["validation_score"]``; a true answer stops the
            training.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter or the data cannot be used; the estimator is then as it was before.
        TrainingDivergedError
            If a loss or a weight becomes infinite or NaN; the estimator is then as it was before.
        KeyboardInterrupt
            After Ctrl-C: the epoch is finished first, and the estimator keeps its weights. A second Ctrl-C acts at once
            (on TensorFlow once the epoch has ended), and leaves the estimator as it was before.
        """
        held = Held(X_val, y_val, sample_weight_val)
        with one_at_a_time(self):
            Fit(self, Arguments(X, y, sample_weight, held, monitor=monitor)).run()
        return self

    @available_if(_has_partial_fit)  # type: ignore[untyped-decorator]  # scikit-learn carries no types
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None, *, monitor: Monitor | None = None
    ) -> Self:
        """Train for one epoch on some of the data, going on from where the last call ended.

        The first call decides the number of features, the classes, and the mean and scale of a regression's targets.
        Not available with ``solver="lbfgs"``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        classes : array-like of shape (n_classes,), optional
            All classes that any call will bring; needed in the first call of a classifier of one label a row.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each sample in the loss.
        monitor : callable, optional
            Called as ``monitor(epoch, estimator, stats)`` after the epoch.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter or the data cannot be used.
        """
        with one_at_a_time(self):
            Fit(self, Arguments(X, y, sample_weight, classes=classes, monitor=monitor, partial=True)).run()
        return self
