"""The base class of the estimators: predictions, fitted attributes, scikit-learn's protocol."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
from sklearn.utils import Tags, estimator_html_repr
from sklearn.utils.validation import check_is_fitted, validate_data

from ffnn._utils._private import check_y
from ffnn._utils.documentation import Without
from ffnn._utils.sparse_check import checked_sparse
from ffnn._utils.threads import surely_finite
from ffnn.estimator.builders import builder_of, named_builder
from ffnn.estimator.fittable import Fittable
from ffnn.estimator.fitted import Fitted
from ffnn.estimator.hidden_layers import HiddenLayersMixin
from ffnn.estimator.onnx import OnnxMixin
from ffnn.estimator.picture import picture
from ffnn.model import Array, Model, State
from ffnn.network import Network
from ffnn.plugins import registry
from ffnn.plugins.hookspecs import Kind

if TYPE_CHECKING:
    from ffnn.output import Output

__all__ = ["BaseMLP"]

#: What ``dir`` does not show: what skl2onnx asks for, which nobody calls; `model_` is shown of a fitted estimator.
_UNLISTED = frozenset({"model_", "onnx_converter", "onnx_parser", "onnx_shape_calculator"})


class BaseMLP(OnnxMixin, HiddenLayersMixin, Fittable):
    """The base of :class:`~ffnn.MLPClassifier` and :class:`~ffnn.MLPRegressor`."""

    #: Whether a search can follow its fits, pause and prune them.
    _reports_epochs = True

    n_features_in_: int
    network_: Network
    loss_curve_: list[float]
    n_iter_: int
    builder_: str
    _fitted: Fitted

    # -- prediction -----------------------------------------------------------------------------------------------

    def _scores(self, X: Any) -> Array:
        """Return the network's scores, of shape (n_samples, n_outputs)."""
        self._check_fitted()
        rows = self._prepared(X)
        scores = self._current_model().forward(rows)
        if not np.isfinite(scores).all():
            raise ValueError(
                f"X: the network's scores overflow {scores.dtype} for some of these samples; their predictions would "
                "mean nothing. Scale X as it was at fit. If it was, the training has diverged without a word: look at "
                "loss_curve_, and lower learning_rate."
            )
        return scores

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

    def _check_fitted(self) -> None:
        if "network_" not in vars(
            self
        ):  # check_is_fitted reads all tags, a good part of the time of a small prediction
            check_is_fitted(self)

    @property
    def _output(self) -> Output:
        self._check_fitted()
        return self.network_.output

    def _current_model(self) -> Model:
        """Return the model on the builder that the parameter names now."""
        self._check_fitted()
        return self._fitted.model(builder_of(self))

    def _state(self) -> State:
        self._check_fitted()
        state = self._fitted.state
        assert state is not None  # set by every fit
        return state

    def _import_engine(self) -> bool:
        """Import the engine before the clock of a task starts, and return whether it is known yet.

        What ``builder="auto"`` takes depends on the data.
        """
        builder = builder_of(self) if hasattr(self, "_fitted") else named_builder(self)
        if builder is None:
            return False
        builder.import_engine()
        return True

    @property
    def model_(self) -> Any:
        """The engine's own model: a ``keras.Model`` for ``builder="keras"``."""
        return self._current_model().native

    @property
    def coefs_(self) -> list[Array]:
        """The kernel of each affine layer, as a list of ndarrays of shape (n_inputs, n_outputs)."""
        return self._weights_of_role("coef")

    @property
    def intercepts_(self) -> list[Array]:
        """The bias of each affine layer, as a list of ndarrays of shape (n_outputs,)."""
        return self._weights_of_role("intercept")

    def _weights_of_role(self, role: str) -> list[Array]:
        arrays, declared = self._state().weights, self.network_.weights
        return [array for name, array in arrays.items() if name in declared and declared[name].role == role]

    # scikit-learn reads every attribute that it lists; reading model_ would start an engine

    def __dir__(self) -> list[str]:
        names = [name for name in object.__dir__(self) if name not in _UNLISTED and hasattr(self, name)]
        return [*names, "model_"] if hasattr(self, "_fitted") else names

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        return Fittable._get_fitted_attr_html(Without(self, "model_"), doc_link)

    def _html_repr(self) -> str:
        """Return scikit-learn's HTML, and a picture of the network."""
        return f"{estimator_html_repr(self)}{picture(self)}"

    # -- scikit-learn's protocol ----------------------------------------------------------------------------------

    def _validate(self, X: Any, y: Any, dtype: str, *, reset: bool) -> tuple[Any, Any]:
        """Return ``X`` as an array or CSR matrix of ``dtype`` and ``y`` as an array, or sparse where it may be."""
        X, y = checked_sparse("X", X), checked_sparse("y", y)
        X, y = validate_data(
            self,
            X,
            y,
            reset=reset,
            accept_sparse="csr",
            dtype=dtype,
            ensure_all_finite=not surely_finite(X, dtype),
            multi_output=True,
            y_numeric=self._estimator_type_name() == "regressor",
        )
        return X, self._validate_y(y)

    def _validate_y(self, y: Any) -> Any:
        if scipy.sparse.issparse(y) and self._estimator_type_name() == "regressor":
            raise TypeError("y is sparse; expected an array of numbers. Use y.toarray().")
        return y

    def _validate_held(self, y_val: Any) -> Any:
        """Return validation targets as an array, or sparse where they may be."""
        y_val = checked_sparse("y_val", y_val)
        return self._validate_y(check_y(y_val, numeric=self._estimator_type_name() == "regressor"))

    def _learned(self, output: Output) -> None:
        """Set the fitted attributes that come from the output."""

    def _check_classes(self, classes: Any) -> None:
        """Refuse other classes than those of the first ``partial_fit``."""

    def _check_same_classes(self, y: Any) -> None:
        """Refuse targets of other classes than those of the last fit, for another with ``warm_start``."""

    @abstractmethod
    def _estimator_type_name(self) -> str:
        """Return "classifier" or "regressor"."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _adjust_tags(self, tags: Tags) -> Tags:
        """Return the tags as the named input and output restrict them."""
        parts: list[tuple[Kind, Any]] = [("input", self.input_layer), ("output", self.output_layer)]
        for kind, part in parts:
            if isinstance(part, str) and part == "auto":  # names no plugin, and an error made for it takes a while
                continue
            with contextlib.suppress(Exception):  # tags are asked of wrong parameters too; fit refuses those
                (registry.load(kind, part)() if isinstance(part, str) else part).adjust_tags(tags)
        return tags
