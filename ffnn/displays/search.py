"""The scores of a search over hyper-parameters."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ffnn.displays._display import Display
from ffnn.model import Array

__all__ = ["SearchDisplay"]

#: The largest number of values of the second parameter that are drawn as lines; with more, points have colours.
_MAX_LINES = 8
#: The ratio of the largest to the smallest number from which an axis is logarithmic.
_LOG_RATIO = 50


class SearchDisplay(Display):
    """Plot of the candidates' scores over one or two parameters, with their spread between the splits.

    One parameter is drawn as points with error bars for the standard deviation. A second one adds a line for each of
    its values or, if there are many, as in a random search, coloured points whose area grows with the standard
    deviation.

    Parameters
    ----------
    parameters : dict of str to sequence
        The value of each candidate by the parameter's name, for one or two parameters, the first on the axis.
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
            The parameter on the axis and, optionally, a second one. The best score over the others is shown. By
            default those that the search varied, if there are one or two.
        metric : str, optional
            The score to draw, if there are several; that of ``refit`` by default.
        ax : matplotlib.axes.Axes, optional
            The axes to draw on; new ones by default.
        **kwargs
            Passed to matplotlib's ``errorbar``, or ``scatter``.

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

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the scores.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            The axes to draw on; new ones by default.
        **kwargs
            Passed to matplotlib's ``errorbar``, or ``scatter``.

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
        x = _Axis(self.parameters[names[0]])
        means, spreads = np.asarray(self.means, dtype=float), np.asarray(self.spreads, dtype=float)
        x.label(ax.xaxis, names[0])
        if len(names) == 1:
            self._line(ax, x.places, means, spreads, kwargs)
            ax.set_ylabel(self.score_name)
            return self
        second = _Axis(self.parameters[names[1]])
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

    @staticmethod
    def _line(ax: Any, places: Array, means: Array, spreads: Array, kwargs: dict[str, Any]) -> None:
        order = np.argsort(places, kind="stable")
        ax.errorbar(places[order], means[order], spreads[order], **{"marker": "o", "capsize": 3, **kwargs})


class _Axis:
    """The positions of values on an axis: numbers at their value, anything else one after the other."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.numeric = all(isinstance(v, numbers.Real) and not isinstance(v, bool) for v in values)
        self.texts = [str(v) for v in values]
        if self.numeric:
            self.places = np.asarray(values, dtype=float)
            self.distinct = [self.texts[i] for i in np.unique(self.places, return_index=True)[1]]
        else:
            self.distinct = list(dict.fromkeys(self.texts))
            self.places = np.array([self.distinct.index(text) for text in self.texts], dtype=float)

    def label(self, axis: Any, name: str) -> None:
        axis.set_label_text(name)
        if not self.numeric:
            axis.set_ticks(range(len(self.distinct)), self.distinct)
        elif self.places.min() > 0 and self.places.max() > _LOG_RATIO * self.places.min():
            axis.axes.set(**{f"{axis.axis_name}scale": "log"})


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
        if len(varied) > 2:
            raise ValueError(
                f"parameters: the search varied {len(varied)}, {', '.join(varied)}; expected the names of one or two "
                "of them. The best score over the others is shown."
            )
        return (varied or known)[:2]
    chosen = [wanted] if isinstance(wanted, str) else list(wanted)
    if not 1 <= len(chosen) <= 2 or not set(chosen) <= set(known) or len(set(chosen)) < len(chosen):
        raise ValueError(f"parameters={wanted!r}: expected one or two of {', '.join(known)}.")
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
