"""The values of a fitted network's hidden layers, and the gradient of its predictions."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from ffnn._utils.sparse_check import checked_sparse
from ffnn._utils.threads import surely_finite
from ffnn.model import Array, Model, Rows

if TYPE_CHECKING:
    from ffnn.network import Network

__all__ = ["HiddenLayersMixin"]


class HiddenLayersMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Adds ``transform`` and ``prediction_gradient`` to the estimators."""

    if TYPE_CHECKING:
        network_: Network
        transform_layer_index: int

        def _current_model(self) -> Model: ...

    def transform(self, X: Any) -> Array:
        """Return the values of a hidden layer, the one that ``transform_layer_index`` names.

        They are what leaves the layer's block, after its activation. ``set_output(transform="pandas")`` makes it a
        frame.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_units)
            Of the network's dtype.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError, ValueError
            If ``X`` is not like that of ``fit``, if there is no such layer, or if the network is a Keras model of the
            user's own.
        """
        check_is_fitted(self)
        layer = self._transform_layer()
        rows = self._prepared(X)
        return self._current_model().forward(rows, layer)

    def prediction_gradient(self, X: Any) -> Array:
        """Return the gradient of each output before its activation with respect to each feature, a row at a time.

        That is, of the log-odds for two classes and for each label of several, of the score before softmax for each of
        more classes, and of the prediction, in the unit of y, for a regressor (of its logarithm with
        ``RegressionOutput(loss="poisson")``).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples. Of sparse ones, too, every feature has its gradient: the result is dense.

        Returns
        -------
        ndarray of shape (n_samples, n_features) or (n_samples, n_outputs, n_features)
            Without the axis of the outputs where there is one output.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If ``X`` is not like that of ``fit``.
        """
        check_is_fitted(self)
        rows = self._prepared(X)
        gradient = self.network_.output.in_units(self._current_model().input_gradient(rows))
        return gradient[:, 0] if gradient.shape[1] == 1 else gradient

    def _prepared(self, X: Any) -> Rows:
        """Return samples, checked, as the network takes them."""
        network = self.network_
        return network.input.prepare(self._checked(X, network.dtype), network.dtype)

    def _checked(self, X: Any, dtype: str, name: str = "X") -> Any:
        """Return samples like those of ``fit`` as an array or CSR matrix of a dtype."""
        X = checked_sparse(name, X)
        finite = surely_finite(X, dtype)
        return validate_data(self, X, accept_sparse="csr", dtype=dtype, reset=False, ensure_all_finite=not finite)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the names of what ``transform`` gives: the class's, in lower case, and a number.

        Parameters
        ----------
        input_features : ignored
            scikit-learn's convention.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError, ValueError
            If ``transform_layer_index`` names no hidden layer.
        """
        check_is_fitted(self)
        self._transform_layer()
        names: Array = super().get_feature_names_out(input_features)
        return names

    def _transform_layer(self) -> int:
        """The number of the hidden layer that ``transform`` gives, from 0."""
        index, n = self.transform_layer_index, len(self.network_.hidden)
        if not isinstance(index, numbers.Integral) or isinstance(index, bool):
            raise TypeError(
                f"transform_layer_index={index!r}: expected an integer, got {type(index).__name__}. It counts the "
                "hidden layers from 0, or from the end with -1."
            )
        if not n:
            raise ValueError(
                "transform gives the values of a hidden layer, and this network has none. Use hidden_units=(256,), say."
            )
        if not -n <= index < n:
            raise ValueError(
                f"transform_layer_index={index!r}: expected an integer from {-n} to {n - 1}, as the network has "
                f"{n} hidden layer{'s' if n > 1 else ''}."
            )
        return int(index) % n

    @property
    def _n_features_out(self) -> int:
        # what scikit-learn's get_feature_names_out counts to
        network = self.network_
        try:
            layer = self._transform_layer()
        except (TypeError, ValueError) as error:  # what `dir` and `hasattr` take for no attribute
            raise AttributeError(str(error)) from error
        return network.stages[network.hidden[layer] - 1].n_outputs

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # it is the network's, whatever that of X
        return tags
