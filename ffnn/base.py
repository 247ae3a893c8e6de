"""What the estimators share: from parameters and data to a fitted network, and from a network to scores."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from ffnn.builder import Array, Model, State
from ffnn.fitted import Fitted
from ffnn.network import Network
from ffnn.settings import Settings, check_weight
from ffnn.solver import Solver
from ffnn.solvers import SOLVERS
from ffnn.training import Training

if TYPE_CHECKING:
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


class BaseMLP(BaseEstimator, ABC):  # type: ignore[misc]
    """The base of :class:`~ffnn.MLPClassifier` and :class:`~ffnn.MLPRegressor`."""

    n_features_in_: int
    network_: Network
    loss_curve_: list[float]
    n_iter_: int
    _fitted: Fitted

    # -- training -------------------------------------------------------------------------------------------------

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, monitor: Monitor | None, *,
        classes: Any = None, partial: bool = False,
    ) -> Self:  # fmt: skip
        """Train on ``X`` and ``y``, from new weights or, if ``partial``, for one more epoch."""
        settings = Settings.of(self)
        settings.check_monitor(monitor)
        first = not (partial and hasattr(self, "_fitted"))
        dtype = settings.dtype_for(X) if first else self.network_.dtype
        before = dict(self.__dict__)
        try:
            X, y = self._validate(X, y, dtype, reset=first)
            weight = check_weight(sample_weight, X)
            if first:
                self._start(settings, X, y, weight, classes, dtype, partial=partial)
            else:
                # what is trained in place: the copy has the state as arrays
                before.update(loss_curve_=list(self.loss_curve_), _fitted=copy.copy(self._fitted))
                self._go_on(settings, classes)
            epochs = range(self.n_iter_, self.n_iter_ + (1 if partial else settings.n_epochs))
            self._train(settings, X, y, weight, epochs, monitor)
        except BaseException:  # a Ctrl-C too: as if nothing had been called
            self.__dict__.clear()
            self.__dict__.update(before)
            raise
        return self

    def _start(
        self, settings: Settings, X: Any, y: Any, weight: Array, classes: Any, dtype: str, *, partial: bool
    ) -> None:
        """Describe the network for this data and set the fitted attributes of an untrained one."""
        output = settings.output_for(y, classes, self._estimator_type_name())
        if partial and classes is None and output.needs_classes:
            raise ValueError(
                "classes must be passed on the first call to partial_fit: all labels that any call will bring, such as "
                "numpy.unique(y) of all data."
            )
        output = output.fit(y, classes, weight)
        network = settings.describe(settings.input_for(X), output, n_features=X.shape[1], dtype=dtype)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        self._fitted = Fitted(network, settings.solver, seed)
        self.network_ = network
        self.loss_curve_ = []
        self.n_iter_ = 0
        self._learned(output)

    def _go_on(self, settings: Settings, classes: Any) -> None:
        """Take over what parameters may change between two calls of ``partial_fit``, and refuse the others."""
        if classes is not None:
            self._check_classes(classes)
        old = self.network_
        network = settings.describe(old.input, old.output, n_features=old.n_features, dtype=old.dtype)
        if network.weights != old.weights:
            raise ValueError(
                f"hidden_units={self.hidden_units!r} and block={self.block!r} describe another network than the one "
                "that partial_fit began with. Set them back, or call fit to start anew."
            )
        self._fitted.change(network, settings.solver)
        self.network_ = network

    def _train(self, settings: Settings, X: Any, y: Any, weight: Array, epochs: range, monitor: Monitor | None) -> None:
        network, fitted = self.network_, self._fitted
        # everything that can be refused is refused before an engine is imported
        rows = network.input.prepare(X, network.dtype)
        targets = network.output.encode(y, network.dtype)
        model = fitted.model(settings.builder)
        # a row of zero weight is left out, which makes it the same as one that was never there
        order = np.flatnonzero(weight > 0).astype(np.int32 if len(weight) < 2**31 else np.int64)

        def on_epoch(epoch: int, loss: float) -> bool:
            self.loss_curve_.append(loss)
            self.n_iter_ = epoch + 1
            return monitor is not None and bool(monitor(epoch, self, {"loss": loss}))

        model.load(rows, targets, weight.astype(network.dtype))
        try:
            fitted.solver.train(
                Training(
                    model=model,
                    rows=order,
                    epochs=epochs,
                    batch_size=settings.batch_size,
                    learning_rate=settings.learning_rate,
                    weight_decay=settings.weight_decay,
                    root_seed=fitted.root_seed,
                    on_epoch=on_epoch,
                )
            )
        finally:
            model.unload()

    @available_if(_has_partial_fit)  # type: ignore[untyped-decorator]
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
        return self._fit(X, y, sample_weight, monitor, classes=classes, partial=True)

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
