"""The base class of the displays, and a helper."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from ffnn.estimator.base import BaseMLP

__all__ = ["Display", "fitted_network"]


class Display:
    """Base class of the displays, which draw on the axes ``ax_`` of ``figure_``."""

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


def fitted_network(estimator: Any) -> tuple[BaseMLP, Any]:
    """Return a fitted network and, if it is the last step of a pipeline, the steps before it; else None.

    Raises
    ------
    TypeError
        If it is no estimator of ffnn.
    NotFittedError
        If it is not fitted.
    """
    mlp, before = estimator, None
    if hasattr(estimator, "steps"):
        mlp, before = estimator[-1], (estimator[:-1] if len(estimator.steps) > 1 else None)
    if not isinstance(mlp, BaseMLP):
        raise TypeError(
            f"estimator: expected an MLPClassifier, an MLPRegressor, or a pipeline that ends in one; got "
            f"{type(mlp).__name__}. For a search, give its best_estimator_."
        )
    check_is_fitted(mlp)
    return mlp, before
