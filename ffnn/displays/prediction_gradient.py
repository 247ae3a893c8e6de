"""The features that predictions depend on most."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils import gen_batches

from ffnn.displays._display import Display, fitted_network
from ffnn.estimator.base import BaseMLP
from ffnn.model import Array

__all__ = ["PredictionGradientDisplay"]

#: The number of gradient values held at a time, since X may have many features and rows.
_MAX_VALUES = 2**24
#: The largest number of outputs for which bars are divided by output.
_MAX_PARTS = 10


class PredictionGradientDisplay(Display):
    """Plot of the features with the largest mean absolute gradient of the outputs before their activation.

    Gradients are per unit of a feature, so features must have the same scale to be comparable.

    Parameters
    ----------
    mean_gradient : ndarray of shape (n_outputs, n_features)
        The mean over samples of the absolute gradient.
    feature_names : sequence of str, optional
        The names of the features; ``x0``, ``x1``, … by default.
    output_names : sequence of str, optional
        The names of the outputs.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes of the plot.
    figure_ : matplotlib.figure.Figure
        The figure of the axes.
    bars_ : list of matplotlib.container.BarContainer
        The bars, one container per output.
    """

    def __init__(
        self,
        *,
        mean_gradient: Array,
        feature_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
    ) -> None:
        self.mean_gradient = mean_gradient
        self.feature_names = feature_names
        self.output_names = output_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        n_features: int = 10,
        feature_names: Sequence[str] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the features that a fitted estimator's predictions for ``X`` depend on most.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor or Pipeline
            The fitted estimator, or a pipeline that ends in one; its features are then those after the other steps.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, as for ``predict``.
        n_features : int, default=10
            The number of features shown.
        feature_names : sequence of str, optional
            The names of the features; by default those seen by ``fit``, or those of the other steps' output.
        ax : matplotlib.axes.Axes, optional
            The axes to draw on; new ones by default.
        **kwargs
            Passed to matplotlib's ``barh``.

        Returns
        -------
        PredictionGradientDisplay

        Raises
        ------
        TypeError, ValueError
            If ``estimator`` is no estimator of ffnn, or there is not one name per feature.
        NotFittedError
            If it is not fitted.
        ImportError
            If matplotlib is not installed.
        """
        mlp, before = fitted_network(estimator)
        if feature_names is None:
            feature_names = _names(mlp, before)
        elif len(feature_names) != mlp.n_features_in_:
            raise ValueError(
                f"feature_names: expected {mlp.n_features_in_}, one for each feature of the network; got "
                f"{len(feature_names)}."
            )
        gradient = _mean_gradient(mlp, X if before is None else before.transform(X))
        classes = getattr(mlp, "classes_", range(len(gradient)))
        display = cls(
            mean_gradient=gradient,
            feature_names=feature_names,
            output_names=[str(name) for name in classes] if len(gradient) > 1 else None,
        )
        return display.plot(n_features=n_features, ax=ax, **kwargs)

    def plot(self, *, n_features: int = 10, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the bars: the mean over the outputs, divided by output if there are few.

        Parameters
        ----------
        n_features : int, default=10
            The number of features shown.
        ax : matplotlib.axes.Axes, optional
            The axes to draw on; new ones by default.
        **kwargs
            Passed to matplotlib's ``barh``.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If ``n_features`` is no positive integer.
        ImportError
            If matplotlib is not installed.
        """
        if not isinstance(n_features, numbers.Integral) or n_features < 1:
            kind = TypeError if not isinstance(n_features, numbers.Integral) else ValueError
            raise kind(f"n_features={n_features!r}: expected a positive integer, the number of features shown.")
        ax = self._axes(ax)
        parts = np.asarray(self.mean_gradient) / len(self.mean_gradient)
        total = parts.sum(axis=0)
        top = np.argsort(-total, kind="stable")[:n_features]
        names = self.feature_names
        labels = [f"x{i}" if names is None else str(names[i]) for i in top]
        if len(parts) > _MAX_PARTS:
            parts = total[None]
        rows, left = np.arange(len(top)), np.zeros(len(top))
        self.bars_: list[Any] = []
        for i, part in enumerate(parts[:, top]):
            label = self.output_names[i] if self.output_names and len(parts) > 1 else None
            self.bars_.append(ax.barh(rows, part, left=left, **{"label": label, **kwargs}))
            left = left + part
        ax.set_yticks(rows, labels)
        ax.invert_yaxis()
        ax.set_xlabel("mean |gradient|")
        if self.output_names and len(parts) > 1:
            ax.legend(title="output")
        return self


def _names(mlp: BaseMLP, before: Any) -> Any:
    """Return the names of the network's features, or None if they are unknown."""
    if before is not None:
        try:
            return before.get_feature_names_out()
        except (AttributeError, ValueError):  # a step that gives no names
            return None
    return getattr(mlp, "feature_names_in_", None)


def _mean_gradient(mlp: BaseMLP, X: Any) -> Array:
    """Return the mean absolute gradient, of shape (n_outputs, n_features), computed in chunks of rows."""
    X = X if hasattr(X, "shape") else np.asarray(X)
    X = X.tocsr() if hasattr(X, "tocsr") else X
    size = max(1, _MAX_VALUES // (mlp.network_.n_outputs * mlp.n_features_in_))
    total: Any = 0.0
    for rows in gen_batches(X.shape[0], size):
        gradient = mlp.prediction_gradient(X.iloc[rows] if hasattr(X, "iloc") else X[rows])
        total = total + np.abs(gradient).sum(axis=0, dtype=np.float64)
    return np.atleast_2d(np.asarray(total / X.shape[0]))
