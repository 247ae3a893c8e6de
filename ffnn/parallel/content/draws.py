"""Which classes of scikit-learn draw random numbers with some parameters only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["draws"]


def _solves_by_chance(one: Any) -> bool:
    return one.solver in ("sag", "saga", "liblinear")


def _shuffles(one: Any) -> bool:
    return bool(one.shuffle)


def _selects_by_chance(one: Any) -> bool:
    return bool(one.selection == "random")


def _may_be_dual(one: Any) -> bool:
    return one.dual is not False


def _estimates_probabilities(one: Any) -> bool:
    return getattr(one, "probability", False) is True


def _projects_by_chance(one: Any) -> bool:
    return one.svd_solver in ("auto", "arpack", "randomized")


#: Whether an object of these draws; one of any other class may.
_DRAWS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(["LogisticRegression", "LogisticRegressionCV", "Ridge", "RidgeClassifier"], _solves_by_chance),
    **dict.fromkeys(["KFold", "StratifiedKFold", "GroupKFold", "StratifiedGroupKFold", "TargetEncoder"], _shuffles),
    **dict.fromkeys(["Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "MultiTaskLasso"], _selects_by_chance),
    **dict.fromkeys(["LinearSVC", "LinearSVR"], _may_be_dual),
    **dict.fromkeys(["SVC", "NuSVC"], _estimates_probabilities),
    "PCA": _projects_by_chance,
}


def draws(thing: Any) -> bool:
    """Return whether an object may draw, so that its ``random_state`` matters."""
    kind = type(thing)
    decides = _DRAWS.get(kind.__name__) if kind.__module__.startswith("sklearn.") else None
    return True if decides is None else decides(thing)
