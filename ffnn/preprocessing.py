"""Preprocessing of tabular data, as scikit-learn transformers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ffnn._utils.checks import check_number
from ffnn._utils.documentation import DocumentedMixin
from ffnn.model import Array
from ffnn.ops import Ops, Tensor

__all__ = ["RobustSmoothClip", "categorical_columns"]


class RobustSmoothClip(OneToOneFeatureMixin, TransformerMixin, DocumentedMixin, BaseEstimator):
    """Scales each feature by its quartiles and clips outliers smoothly to ``±limit``.

    ``z = (x - median) / (q75 - q25)`` becomes ``z / sqrt(1 + (z / limit) ** 2)``: almost z in the middle, and never
    beyond the limit. If the quartiles are equal, half the range replaces their difference; a constant feature becomes
    0.

    D. Holzmüller, L. Grinsztajn and I. Steinwart (2024), "Better by default: strong pre-tuned MLPs and boosted trees on
    tabular data", NeurIPS, arXiv 2407.04491.

    Parameters
    ----------
    limit : float, default=3.0
        The bound of the absolute values.

    Attributes
    ----------
    center_ : float64 ndarray of shape (n_features,)
        The medians.
    scale_ : float64 ndarray of shape (n_features,)
        The divisors; 1 for a constant feature.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the features, if X has any.

    Examples
    --------
    >>> from ffnn.preprocessing import RobustSmoothClip
    >>> RobustSmoothClip().fit_transform([[0.0], [1.0], [2.0], [3.0], [1000.0]]).round(1).ravel().tolist()
    [-0.9, -0.5, 0.0, 0.5, 3.0]
    """

    def __init__(self, limit: float = 3.0) -> None:
        self.limit = limit

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the medians and scales.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        y : object, optional
            Not used.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If ``limit`` is no positive number, or X is sparse or contains NaN or infinity.
        """
        check_number(
            "RobustSmoothClip.limit", self.limit, "It is the bound of the absolute values; 3 is usual.", positive=True
        )
        X = validate_data(self, X, dtype=[np.float64, np.float32])
        low, center, high = np.quantile(X, [0.25, 0.5, 0.75], axis=0).astype(np.float64)
        self.center_: Array = center
        scale = high - low
        scale = np.where(scale > 0, scale, (X.max(axis=0).astype(np.float64) - X.min(axis=0)) / 2)
        self._constant = scale == 0
        self.scale_: Array = np.where(self._constant, 1.0, scale)
        return self

    def transform(self, X: Any) -> Array:
        """Return the samples, scaled and clipped.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            float32 for a float32 X, float64 otherwise.

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        ValueError
            If ``X`` has another number of features than in ``fit``, or contains NaN or infinity.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        # a feature that was constant in fit stays 0, whatever its values are now
        z = np.where(self._constant, 0.0, (X - self.center_) / self.scale_)
        return np.asarray(z / np.hypot(1, z / self.limit), dtype=X.dtype)

    # skl2onnx looks for these methods, so that pipelines with this step can be exported

    def onnx_shape_calculator(self) -> Callable[[Any], None]:
        """Return the function that sets the type and shape of the output in an ONNX model."""
        check_is_fitted(self)
        from skl2onnx.common.data_types import guess_tensor_type

        def calculate(operator: Any) -> None:
            kind = type(guess_tensor_type(operator.inputs[0].type))
            operator.outputs[0].set_type(kind([None, self.n_features_in_]))

        return calculate

    def onnx_converter(self) -> Callable[[Any, Any, Any], None]:
        """Return the function that adds the operations of :meth:`transform` to an ONNX model."""
        check_is_fitted(self)
        from skl2onnx.common.data_types import guess_numpy_type

        from ffnn.onnx.model import add_operations

        def add(scope: Any, operator: Any, container: Any) -> None:
            dtype = guess_numpy_type(operator.outputs[0].type)

            def bend(ops: Ops, x: Tensor) -> list[Tensor]:
                z = (x - self.center_) * np.where(self._constant, 0.0, 1 / self.scale_)
                return [ops.cast(z / ops.sqrt(1 + ops.square(z / self.limit)), dtype)]

            add_operations(bend, self.n_features_in_, "float64", scope, operator, container)

        return add

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def categorical_columns(X: Any) -> list[Any]:
    """Return the names of the non-numeric columns of a frame: text, objects, categories and booleans.

    For ``sklearn.compose.ColumnTransformer``, like ``sklearn.compose.make_column_selector``, which refuses arrays and
    supports pandas only.

    Parameters
    ----------
    X : frame or array-like
        Samples: a pandas or polars frame, or any with the method ``__dataframe__``. Else the list is empty.

    Returns
    -------
    list
    """
    if hasattr(X, "select_dtypes"):
        from pandas.api.types import is_bool_dtype, is_numeric_dtype

        # not by select_dtypes, which does not recognise PyArrow's text and booleans
        kinds = zip(X.columns, X.dtypes, strict=True)
        return [n for n, kind in kinds if is_bool_dtype(kind) or not (is_numeric_dtype(kind) or kind.kind in "mM")]
    schema = getattr(X, "schema", None)
    if isinstance(schema, Mapping):  # polars
        return [name for name, kind in schema.items() if not (kind.is_numeric() or kind.is_temporal())]
    if hasattr(X, "__dataframe__"):
        frame = X.__dataframe__()
        return [name for name in frame.column_names() if frame.get_column_by_name(name).dtype[0] in _CATEGORICAL]
    return []


#: The codes of booleans, texts and categories in the ``__dataframe__`` protocol.
_CATEGORICAL = (20, 21, 23)
