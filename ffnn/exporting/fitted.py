"""The fitted estimator to export, with the transformers before it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ffnn._utils._private import is_search
from ffnn.estimator.base import BaseMLP
from ffnn.exceptions import ExportError
from ffnn.network import Network

__all__ = ["FittedPipeline"]


@dataclass(frozen=True)
class FittedPipeline:
    """Fitted transformers and the estimator after them.

    Parameters
    ----------
    transformers : tuple
        The transformers, without those that pass X through.
    mlp : MLPClassifier or MLPRegressor
        The estimator.
    """

    transformers: tuple[Any, ...]
    mlp: BaseMLP

    @classmethod
    def of(cls, estimator: Any) -> FittedPipeline:
        """Return the steps of an estimator, a pipeline or a search.

        Raises
        ------
        NotFittedError
            If it is not fitted.
        ExportError, TypeError
            If it does not end in an estimator of ffnn.
        """
        if is_search(estimator):
            check_is_fitted(estimator)
            if not hasattr(estimator, "best_estimator_"):
                raise ExportError(
                    f"estimator: the {type(estimator).__name__} has refit={estimator.refit!r}, so it has no "
                    "best_estimator_ to export. Fit it with refit=True, or export an estimator that you fit yourself."
                )
            return cls.of(estimator.best_estimator_)
        if isinstance(estimator, Pipeline):
            *before, (_, last) = estimator.steps
            transformers = [step for _, step in before if step is not None and step != "passthrough"]
            for step in transformers:
                if isinstance(step, BaseMLP):
                    raise ExportError(
                        f"estimator: a {type(step).__name__} is in the middle of the pipeline, where it transforms; "
                        "only its predictions can be exported. Export a pipeline that ends with it."
                    )
            inner = cls.of(last)
            return cls((*transformers, *inner.transformers), inner.mlp)
        if not isinstance(estimator, BaseMLP):
            raise _not_ours(estimator)
        try:
            check_is_fitted(estimator)
        except NotFittedError as error:
            raise NotFittedError(
                f"estimator: this {type(estimator).__name__} is not fitted, so there is nothing to export. Call fit "
                "first; for a search or a pipeline, export the fitted object, not the estimator that it was made from."
            ) from error
        return cls((), estimator)

    @property
    def network(self) -> Network:
        """The network without mixed precision: all layers compute in the dtype of the weights."""
        return replace(self.mlp.network_, compute_dtype=None)

    @property
    def whole(self) -> Any:
        """The estimator, or the pipeline that ends in it."""
        if not self.transformers:
            return self.mlp
        return Pipeline([(f"step{i}", step) for i, step in enumerate((*self.transformers, self.mlp))])

    def check_alone(self, format: str) -> None:
        """Refuse transformers before the estimator.

        Raises
        ------
        ExportError
            If there are any.
        """
        if self.transformers:
            names = ", ".join(type(step).__name__ for step in self.transformers)
            raise ExportError(
                f"format={format!r}: TensorFlow and Keras have no {names}, which the pipeline has before its "
                f"{type(self.mlp).__name__}. Use format='onnx', which takes pipelines; or export the last step, "
                "ffnn.export(pipeline[-1], path), and call pipeline[:-1].transform(X) before the model."
            )

    def check_rows(self, X: Any) -> None:
        """Check that the first step can take the rows.

        Raises
        ------
        TypeError, ValueError
            If they are no table, or have another width or other columns than in ``fit``.
        """
        if X is None:
            return
        first = (*self.transformers, self.mlp)[0]
        name, width = type(first).__name__, getattr(first, "n_features_in_", None)
        remedy = "Give a few of the rows that it was fitted to, such as X=X[:100], or leave X out."
        try:
            shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
        except ValueError as error:
            raise ValueError(
                f"X: expected rows of one length; got a {type(X).__name__} with rows of several lengths. {remedy}"
            ) from error
        if len(shape) == 0:
            raise TypeError(f"X: expected rows as {name} was fitted to; got {X!r:.100}. {remedy}")
        if width is None or isinstance(first, ColumnTransformer):  # texts; or a frame, whose columns it picks by name
            return
        if len(shape) != 2 or shape[1] != width:
            raise ValueError(
                f"X has the shape {tuple(shape)}; expected (n_rows, {width}), as {name} was fitted to {width} "
                f"feature{'' if width == 1 else 's'}. {remedy}"
            )
        names = getattr(first, "feature_names_in_", None)
        if names is not None and hasattr(X, "columns") and list(X.columns) != list(names):
            raise ValueError(
                f"X has the columns {list(X.columns)!r:.200}; expected {list(names)!r:.200}, as {name} was fitted to, "
                f"in this order. {remedy}"
            )
        if not self.transformers and not hasattr(X, "columns"):
            self.dtype(X)

    def dtype(self, X: Any) -> str:
        """Return the dtype of numeric inputs: that of X, or the network's.

        Raises
        ------
        TypeError
            If X is not numeric.
        """
        if X is None:
            return self.mlp.network_.dtype
        dtype = getattr(X, "dtype", None) or np.asarray(X).dtype
        if np.dtype(dtype).kind not in "biuf":
            raise TypeError(
                f"X has the dtype {dtype}; expected numbers, as {type(self.mlp).__name__} was fitted to. Leave X out, "
                "or give rows of the kind that the model is to take."
            )
        return str(np.dtype(dtype))


def _not_ours(estimator: Any) -> Exception:
    name = type(estimator).__name__
    expected = "estimator: expected a fitted MLPClassifier or MLPRegressor, or a pipeline or search that ends in one"
    if isinstance(estimator, (str, os.PathLike)):
        return TypeError(f"{expected}; got {estimator!r}. The estimator comes first: ffnn.export(estimator, path).")
    if isinstance(estimator, type):
        return TypeError(f"{expected}; got the class {estimator.__name__}. Give an instance that is fitted.")
    if hasattr(estimator, "fit"):
        return ExportError(f"{expected}; got a {name}. Export the ffnn estimator inside it.")
    return TypeError(f"{expected}; got {type(estimator).__module__}.{name}.")
