"""The losses of a fit's epochs, as a journal records them."""

from __future__ import annotations

import statistics
from typing import Any

__all__ = ["length", "mean_curve", "monitor_of"]

_Curve = list[float | None]


def length(fold: dict[str, Any]) -> int:
    """Return how many epochs of a fit are recorded."""
    return max(map(len, (fold.get("curves") or {}).values()), default=0)


def monitor_of(search: dict[str, Any]) -> str:
    """Return which curves tell most of a search: ``"validation_loss"`` where there is any, else ``"loss"``."""
    folds = (fold for candidate in search["candidates"] for fold in candidate["folds"])
    return "validation_loss" if any((fold.get("curves") or {}).get("validation_loss") for fold in folds) else "loss"


def mean_curve(candidate: dict[str, Any], name: str) -> _Curve:
    """Return the mean of the folds' curves, up to the last epoch that all of them have; a failed fold does not count.

    Parameters
    ----------
    candidate : dict
        A candidate of a journal's summary.
    name : {"loss", "validation_loss", "validation_score"}
        Which curve.

    Returns
    -------
    list of float or None
        One number for each epoch, None where a fold's is not finite; empty if there is no curve.
    """
    folds = [fold for fold in candidate["folds"] if fold.get("curves") and not fold["failed"]]
    curves = [fold["curves"].get(name) or [] for fold in folds]
    return [None if None in values else statistics.fmean(values) for values in zip(*curves, strict=False)]
