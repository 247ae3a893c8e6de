"""The loss of each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from ffnn.displays._display import Display, fitted_network

__all__ = ["LossCurveDisplay"]


class LossCurveDisplay(Display):
    """Plot of the training loss, and the validation loss if there is one, over the epochs.

    Parameters
    ----------
    loss_curve : sequence of float
        The training loss of each epoch.
    validation_loss_curve : sequence of float, optional
        The validation loss of the same epochs, NaN for those without validation data.
    best_epoch : int, optional
        The epoch, counted from 0, whose weights were kept.
    name : str, optional
        The name of the curves in the legend.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes of the plot.
    figure_ : matplotlib.figure.Figure
        The figure of the axes.
    lines_ : list of matplotlib.lines.Line2D
        The curves, and the line at the best epoch.
    """

    def __init__(
        self,
        *,
        loss_curve: Sequence[float],
        validation_loss_curve: Sequence[float] | None = None,
        best_epoch: int | None = None,
        name: str | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.best_epoch = best_epoch
        self.name = name

    @classmethod
    def from_estimator(cls, estimator: Any, *, name: str | None = None, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : MLPClassifier, MLPRegressor or Pipeline
            The fitted estimator, or a pipeline that ends in one.
        name : str, optional
            The name of the curves in the legend, for several estimators on the same axes.
        ax : matplotlib.axes.Axes, optional
            The axes to draw on; new ones by default.
        **kwargs
            Passed to matplotlib's ``plot`` of the curves.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        TypeError
            If ``estimator`` is no estimator of ffnn.
        NotFittedError
            If it is not fitted.
        ImportError
            If matplotlib is not installed.
        """
        mlp, _ = fitted_network(estimator)
        display = cls(
            loss_curve=mlp.loss_curve_,
            validation_loss_curve=getattr(mlp, "validation_loss_curve_", None),
            best_epoch=getattr(mlp, "best_epoch_", None),
            name=name,
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            The axes to draw on; new ones by default.
        name : str, optional
            The name of the curves; that of the display by default.
        **kwargs
            Passed to matplotlib's ``plot`` of the curves.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = self._axes(ax)
        name = self.name if name is None else name
        prefix = f"{name}: " if name else ""
        epochs = np.arange(1, len(self.loss_curve) + 1)
        self.lines_: list[Any] = ax.plot(epochs, self.loss_curve, **{"label": f"{prefix}training", **kwargs})
        color = self.lines_[0].get_color()
        if self.validation_loss_curve is not None and len(self.validation_loss_curve):
            epochs = np.arange(1, len(self.validation_loss_curve) + 1)
            style = {"label": f"{prefix}validation", "linestyle": "--", **kwargs, "color": color}
            self.lines_ += ax.plot(epochs, self.validation_loss_curve, **style)
        if self.best_epoch is not None:
            style = {"color": color, "linestyle": ":", "label": f"{prefix}best epoch"}
            self.lines_.append(ax.axvline(self.best_epoch + 1, **style))
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
        return self
