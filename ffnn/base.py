"""What the estimators share: from parameters and data to a fitted network, and from a network to scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import scipy.sparse
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from ffnn import fitting
from ffnn.builder import Array, Model, State
from ffnn.fitted import Fitted
from ffnn.network import Network
from ffnn.settings import Settings
from ffnn.solver import Solver
from ffnn.solvers import SOLVERS

if TYPE_CHECKING:
    from ffnn.builder import Builder
    from ffnn.input import Input
    from ffnn.layer import Layer
    from ffnn.output import Output

__all__ = ["BaseMLP", "Monitor"]

Monitor = Callable[[int, "BaseMLP", dict[str, float]], Any]


def _has_partial_fit(estimator: BaseMLP) -> bool:
    solver = estimator.solver
    known = SOLVERS.get(solver, Solver) if isinstance(solver, str) else solver  # a wrong one is refused by the call
    if not getattr(known, "stochastic", True):
        raise AttributeError(
            "partial_fit exists for the solvers that train by batches; 'lbfgs' takes all data at once."
        )
    return True


class BaseMLP(BaseEstimator, ABC):
    """The base of :class:`~ffnn.MLPClassifier` and :class:`~ffnn.MLPRegressor`."""

    n_features_in_: int
    network_: Network
    loss_curve_: list[float]
    n_iter_: int
    _fitted: Fitted

    def __init__(
        self,
        hidden_units: int | Sequence[int] = (256,),
        batch_size: int = 64,
        n_epochs: int = 5,
        dropout: float | None = None,
        activation: str | Callable[[Any], Any] | None = "relu",
        builder: str | Builder = "tf",
        block: Sequence[str | Layer] = ("dropout", "affine", "activation"),
        input_layer: str | Input = "auto",
        output_layer: str | Output = "auto",
        solver: str | Solver = "adam",
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        dtype: str = "auto",
        random_state: Any = None,
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
        self.dtype = dtype
        self.random_state = random_state

    # -- training -------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, monitor: Monitor | None = None) -> Self:
        """Train from new weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples. Any SciPy sparse format is taken; CSR needs no conversion.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            For a classifier class labels, numbers or strings, or a dense or sparse indicator matrix: for each label 1,
            0 or, where it is not known, −1. For a regressor numbers.
        sample_weight : array-like of shape (n_samples,), optional
            The weight of each sample in the loss; 0 is the same as leaving the sample out.
        monitor : callable, optional
            Called as ``monitor(epoch, estimator, stats)`` after each epoch, counted from 0, with the loss in
            ``stats["loss"]`` and the estimator ready to predict; a true answer stops the training.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter or the data cannot be used; the estimator is then as it was before.
        TrainingDivergedError
            If the loss becomes infinite or NaN; the estimator is then as it was before.
        """
        fitting.fit(self, X, y, sample_weight, monitor, partial=False)
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
        fitting.fit(self, X, y, sample_weight, monitor, classes=classes, partial=True)
        return self

    # -- prediction -----------------------------------------------------------------------------------------------

    def _scores(self, X: Any) -> Array:
        """Return the network's scores, of shape (n_samples, n_outputs)."""
        check_is_fitted(self)
        network = self.network_
        X = validate_data(self, X, accept_sparse="csr", dtype=network.dtype, reset=False)
        return self._current_model().forward(network.input.prepare(X, network.dtype))

    def predict(self, X: Any) -> Array:
        """Return the predictions for ``X``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, indicators or numbers, in the form of the ``y`` of ``fit``.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If ``X`` has another number of features than at ``fit``, or NaN or infinity in it.
        """
        return self._output.decode(self._scores(X))

    # -- the fitted network ---------------------------------------------------------------------------------------

    @property
    def _output(self) -> Output:
        check_is_fitted(self)
        return self.network_.output

    def _current_model(self) -> Model:
        """Return the model on the builder that the parameter names now."""
        check_is_fitted(self)
        return self._fitted.model(Settings.builder_of(self))

    def _state(self) -> State:
        check_is_fitted(self)
        state = self._fitted.state
        assert state is not None  # set by every fit
        return state

    @property
    def model_(self) -> Any:
        """The engine's own model: a ``keras.Model`` for ``builder="keras"``."""
        return self._current_model().native

    @property
    def coefs_(self) -> list[Array]:
        """The kernel of each affine layer, as a list of ndarrays of shape (n_inputs, n_outputs)."""
        return [array for name, array in self._state().weights.items() if name.endswith("affine.weight")]

    @property
    def intercepts_(self) -> list[Array]:
        """The bias of each affine layer, as a list of ndarrays of shape (n_outputs,)."""
        return [array for name, array in self._state().weights.items() if name.endswith("affine.bias")]

    # -- scikit-learn's protocol ----------------------------------------------------------------------------------

    def _validate(self, X: Any, y: Any, dtype: str, *, reset: bool) -> tuple[Any, Any]:
        """Return ``X`` as an array or CSR matrix of ``dtype`` and ``y`` as an array, or sparse where it may be."""
        X, y = validate_data(
            self,
            X,
            y,
            reset=reset,
            accept_sparse="csr",
            dtype=dtype,
            multi_output=True,
            y_numeric=self._estimator_type_name() == "regressor",
        )
        return X, self._validate_y(y)

    def _validate_y(self, y: Any) -> Any:
        if scipy.sparse.issparse(y) and self._estimator_type_name() == "regressor":
            raise TypeError("y is sparse; expected an array of numbers. Use y.toarray().")
        return y

    def _learned(self, output: Output) -> None:
        """Set the fitted attributes that come from the output."""

    def _check_classes(self, classes: Any) -> None:
        """Refuse other classes than those of the first ``partial_fit``."""

    @abstractmethod
    def _estimator_type_name(self) -> str:
        """Return "classifier" or "regressor"."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
