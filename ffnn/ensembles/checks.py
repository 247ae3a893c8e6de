"""Checks of the arguments of an ensemble, made before its search runs."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import get_tags

__all__ = ["check", "chosen_scoring"]

_NEEDED = {"estimator", "scoring", "refit", "cv", "error_score", "return_train_score"}


def check(search: Any, top: Any) -> None:
    """Refuse a search or a number of candidates of which there can be no ensemble."""
    named = set() if isinstance(search, type) or not hasattr(search, "get_params") else search.get_params(deep=False)
    if not set(named) >= _NEEDED:
        raise TypeError(
            f"search must be a search of scikit-learn's, such as GridSearchCV; got {search!r} of type "
            f"{type(search).__name__}. Pass for instance ffnn.ensemble(GridSearchCV(estimator, param_grid))."
        )
    if isinstance(top, bool | np.bool_) or not isinstance(top, numbers.Integral):
        raise TypeError(f"top must be a whole number of candidates; got {top!r} of type {type(top).__name__}.")
    if top < 1:
        raise ValueError(f"top must be at least 1; got {top!r}. It is the number of candidates that take part.")
    if not (is_classifier(search.estimator) or is_regressor(search.estimator)):
        raise TypeError(
            f"search must be over a classifier or a regressor; got one over {type(search.estimator).__name__}, whose "
            "predictions have no mean."
        )
    if get_tags(search.estimator).input_tags.pairwise:
        raise ValueError(
            "search must be over an estimator that takes features; got one over pairwise data, of which each fold's "
            "model knows only its own rows. Let the estimator compute its kernel or distances."
        )
    if hasattr(search.cv, "__next__"):
        raise TypeError(
            f"the search's cv must be something that can be copied; got {search.cv!r}, of type "
            f"{type(search.cv).__name__}. Pass a splitter, such as KFold(5), or a list: cv=list(...)."
        )
    chosen_scoring(search)


def chosen_scoring(search: Any) -> Any:
    """Return the search's scoring, of several that which ``refit`` names."""
    scoring, refit = search.scoring, search.refit
    if scoring is None or isinstance(scoring, str) or callable(scoring):
        return scoring
    if not isinstance(refit, str) or refit not in scoring:
        raise ValueError(
            f"the search has several scores, and an ensemble ranks candidates by one; got scoring={scoring!r} and "
            f"refit={refit!r}. Name one by refit, or pass one as scoring."
        )
    return scoring[refit] if isinstance(scoring, dict) else refit
