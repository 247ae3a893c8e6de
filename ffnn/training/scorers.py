"""The parameter ``scoring``. scikit-learn's metrics are imported only where it names one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import BaseEstimator

from ffnn._utils.checks import unknown_name

__all__ = ["Scorer", "check_scorer", "scorer_of"]

Scorer = Callable[..., float]


def check_scorer(value: Any) -> None:
    """Refuse a ``scoring`` that is neither "loss", a scorer's name, nor a callable.

    Raises
    ------
    TypeError, ValueError
        That names the nearest scorers.
    """
    if callable(value):
        return
    if not isinstance(value, str):
        raise TypeError(
            f"scoring={value!r}: expected 'loss', a scikit-learn scorer's name, or a scorer; "
            f"got {type(value).__name__}."
        )
    if value == "loss":  # without the import of all metrics
        return
    from sklearn.metrics import get_scorer_names

    if value not in get_scorer_names():
        raise unknown_name("scoring", value, ["loss", *get_scorer_names()], "a scorer such as make_scorer returns")


def scorer_of(estimator: BaseEstimator, scoring: Any) -> Scorer | None:
    """Return the scorer that ``scoring`` names; None for the loss."""
    if isinstance(scoring, str) and scoring == "loss":
        return None
    from sklearn.metrics import check_scoring

    found: Scorer = check_scoring(estimator, scoring)
    return found
