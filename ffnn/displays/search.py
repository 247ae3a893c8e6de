"""The scores of a search over hyper-parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ffnn.displays._axis import Axis
from ffnn.displays._display import Display
from ffnn.model import Array

__all__ = ["SearchDisplay"]

#: The largest number of values of the second parameter that are drawn as lines; with more, points have colours.
_MAX_LINES = 8


class SearchDisplay(Display):
    """Plot of the candidates' scores over their parameters.

    One parameter is drawn as points with error bars for the standard deviation between the splits. A second one adds a
    line for each of its values or, if there are many, as in a random search, coloured points whose area grows with the
    standard deviation. From three on, each candidate is a line that crosses an axis for each parameter and one for the
    score, which is its colour, too: parallel coordinates.

    Parameters
    ----------
    parameters : dict of str to sequence
        The value of each candidate by the parameter's name, in the order of the axes.
    means, spreads : array-like of shape (n_candidates,)
        Mean and standard deviation of each candidate's scores.
    score_name : str, default="score"
        The name of the score.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes of the plot.
    figure_ : matplotlib.figure.Figure
        The figure of the axes.
    """

    def __init__(
        self, *, parameters: dict[str, Sequence[Any]], means: Any, spreads: Any, score_name: str = "score"
    ) -> None:
        self.parameters = parameters
        self.means = means
        self.spreads = spreads
        self.score_name = score_name

    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        parameters: str | Sequence[str] | None = None,
        metric: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the scores of a fitted search.

        Parameters
        ----------
        search : GridSearchCV, RandomizedSearchCV or another with ``cv_results_``
            The fitted search.
        parameters : str or sequence of str, optional
            The parameters to draw, in the order of the axes; the best score over the others is shown. By default
            those that the search varied.
        metric : str, optional
            The score to draw, if there are several; that of ``refit`` by default.
        ax : matplotlib.axes.Axes, optional
            The axes to draw on; new ones by default.
        **kwargs
            Passed to matplotlib's ``errorbar``, ``scatter`` or, from three parameters on, ``LineCollection``.

        Returns
        -------
        SearchDisplay

        Raises
        ------
        TypeError, ValueError
            If ``search`` is no search, or has no such parameter or metric.
        NotFittedError
            If it is not fitted.
        ImportError
            If matplotlib is not installed.
        """
        if not hasattr(search, "cv_results_"):
            if not hasattr(search, "get_params"):
                raise TypeError(f"search: expected a fitted search, such as GridSearchCV; got {type(search).__name__}.")
            check_is_fitted(search, "cv_results_")
        # of a halving search, scikit-learn 1.10 keeps only the last round there
        results = getattr(search, "all_cv_results_", search.cv_results_)
        metric = _metric(results, metric, getattr(search, "refit", None))
        chosen = _parameters(results, parameters)
        rows = _best_rows(results, chosen, metric)
        display = cls(
            parameters={name: [results["params"][i].get(name) for i in rows] for name in chosen},
            means=results[f"mean_test_{metric}"][rows],
            spreads=results[f"std_test_{metric}"][rows],
            score_name=metric,
        )
        return display.plot(ax=ax, **kwargs)

    @classmethod
    def from_estimator(cls, estimator: Any, **options: Any) -> Self:
        """Draw the scores of a fitted search: :meth:`from_search`, under the name that scikit-learn's displays have."""
        return cls.from_search(estimator, **options)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the scores.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            The axes to draw on; new ones by default.
        **kwargs
            Passed to matplotlib's ``errorbar``, ``scatter`` or, from three parameters on, ``LineCollection``.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = self._axes(ax)
        names = list(self.parameters)
        if len(names) > 2:
            self._parallel(ax, kwargs)
            return self
        x = Axis(self.parameters[names[0]])
        means, spreads = np.asarray(self.means, dtype=float), np.asarray(self.spreads, dtype=float)
        x.label(ax.xaxis, names[0])
        if len(names) == 1:
            self._line(ax, x.places, means, spreads, kwargs)
            ax.set_ylabel(self.score_name)
            return self
        second = Axis(self.parameters[names[1]])
        if len(second.distinct) > _MAX_LINES:
            second.label(ax.yaxis, names[1])
            area = 20 + 180 * spreads / (np.nanmax(spreads) or 1.0)
            points = ax.scatter(x.places, second.places, c=means, s=area, **kwargs)
            self.figure_.colorbar(points, ax=ax, label=f"{self.score_name} (area: spread)")
            return self
        for value in second.distinct:
            here = np.array([text == value for text in second.texts])
            self._line(ax, x.places[here], means[here], spreads[here], {"label": value, **kwargs})
        ax.set_ylabel(self.score_name)
        ax.legend(title=names[1])
        return self

    def _parallel(self, ax: Any, kwargs: dict[str, Any]) -> None:
        """Draw a line for each candidate, the best on top; failed ones are grey, and end before the score."""
        from matplotlib.collections import LineCollection

        means = np.asarray(self.means, dtype=float)
        failed = ~np.isfinite(means)
        axes = {name: Axis(values) for name, values in self.parameters.items()}
        if not failed.all():
            axes[self.score_name] = Axis(np.where(failed, np.nanmin(means), means).tolist())
        heights = np.empty((len(means), len(axes)))
        for i, axis in enumerate(axes.values()):
            heights[:, i], ticks = axis.shares()
            ax.axvline(i, color="0.7", linewidth=1)
            for text, height in ticks.items():
                ax.annotate(text, (i, height), (4, 0), textcoords="offset points", va="center", fontsize="small")
        lines = np.stack([np.broadcast_to(np.arange(len(axes), dtype=float), heights.shape), heights], axis=2)
        ax.add_collection(LineCollection(list(lines[failed, :-1]), colors="0.8", linewidths=1))
        order = np.flatnonzero(~failed)[np.argsort(means[~failed], kind="stable")]
        drawn = LineCollection(list(lines[order]), array=means[order], **{"linewidths": 1.5, "alpha": 0.8, **kwargs})
        ax.add_collection(drawn)
        self.figure_.colorbar(drawn, ax=ax, label=self.score_name)
        ax.set(xlim=(-0.1, len(axes) - 0.6), ylim=(-0.05, 1.05), yticks=[])
        ax.set_xticks(range(len(axes)), list(axes), rotation=15, ha="right")

    @staticmethod
    def _line(ax: Any, places: Array, means: Array, spreads: Array, kwargs: dict[str, Any]) -> None:
        order = np.argsort(places, kind="stable")
        ax.errorbar(places[order], means[order], spreads[order], **{"marker": "o", "capsize": 3, **kwargs})


def _metric(results: dict[str, Any], metric: str | None, refit: Any) -> str:
    known = [name.removeprefix("mean_test_") for name in results if name.startswith("mean_test_")]
    if metric is None:
        metric = refit if isinstance(refit, str) and refit in known else known[0] if len(known) == 1 else None
    if metric not in known:
        raise ValueError(f"metric={metric!r}: expected one of {', '.join(known)}, the scores of the search.")
    return str(metric)


def _parameters(results: dict[str, Any], wanted: str | Sequence[str] | None) -> list[str]:
    known = [name.removeprefix("param_") for name in results if name.startswith("param_")]
    varied = [n for n in known if len({str(candidate.get(n)) for candidate in results["params"]}) > 1]
    if wanted is None:
        return varied or known[:1]
    chosen = [wanted] if isinstance(wanted, str) else list(wanted)
    if not chosen or not set(chosen) <= set(known) or len(set(chosen)) < len(chosen):
        raise ValueError(f"parameters={wanted!r}: expected one or more of {', '.join(known)}, each once.")
    return chosen


def _best_rows(results: dict[str, Any], chosen: list[str], metric: str) -> list[int]:
    """Return the best candidate for each combination of the chosen parameters.

    In a halving search, only those that reached the latest iteration are compared.
    """
    means = np.nan_to_num(np.asarray(results[f"mean_test_{metric}"], dtype=float), nan=-np.inf)
    rounds = results.get("iter", np.zeros(len(means)))
    best: dict[tuple[str, ...], int] = {}
    for i, candidate in enumerate(results["params"]):
        key = tuple(str(candidate.get(name)) for name in chosen)
        if key not in best or (rounds[i], means[i]) > (rounds[best[key]], means[best[key]]):
            best[key] = i
    return list(best.values())
