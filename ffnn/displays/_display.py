"""The base class of the displays, and a helper."""

from __future__ import annotations

from typing import Any

__all__ = ["Display", "last_step"]


class Display:
    """Base class of the displays.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes of the plot.
    figure_ : matplotlib.figure.Figure
        The figure of the axes.
    """

    ax_: Any
    figure_: Any

    def _axes(self, ax: Any) -> Any:
        """Return the axes to draw on, new ones for None, and store them.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                f"{type(self).__name__}.plot needs matplotlib ({error}). Install it with: python -m pip install "
                "matplotlib"
            ) from error
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        return ax


def last_step(estimator: Any) -> tuple[Any, Any]:
    """Return the last step of a pipeline and the steps before it; for any other estimator, itself and None."""
    if hasattr(estimator, "steps"):
        return estimator[-1], (estimator[:-1] if len(estimator.steps) > 1 else None)
    return estimator, None
