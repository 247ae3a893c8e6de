"""Sample weights: their checks and their scale."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ffnn._utils._private import check_sample_weight
from ffnn.model import Array

if TYPE_CHECKING:
    from ffnn.output import Output

__all__ = ["check_taught", "check_weight", "near_one", "relative", "warn_of_untaught"]


def check_weight(sample_weight: Any, X: Any) -> np.ndarray[Any, Any]:
    """Return the sample weights as a float64 array of shape (n_samples,); ones for None.

    Raises
    ------
    ValueError
        If one is negative or not finite, if all are zero, or if there are not as many as samples.
    """
    if sample_weight is not None and np.asarray(sample_weight).size and not np.any(np.asarray(sample_weight)):
        raise ValueError(
            "sample_weight: expected at least one positive weight, got zeros only. Leave out sample_weight to weigh "
            "all samples alike."
        )
    weight = check_sample_weight(sample_weight, X)
    return np.asarray(weight)


def near_one(weight: Array) -> Array:
    """Return weights multiplied by a power of two that makes the largest at least 1/2 and less than 1.

    That is exact, and nothing computed from them is then lost to overflow or underflow.
    """
    largest = weight.max(initial=0.0)
    return np.asarray(np.ldexp(weight, -np.frexp(largest)[1])) if 0 < largest < np.inf else weight


def relative(weight: Array, rows: Array) -> Array:
    """Return weights whose mean over some rows is 1, and which are 0 elsewhere.

    The loss is a mean by weight, so that their unit is free; and float32 has neither 1e-46 nor 1e39.
    """
    result = np.zeros(len(weight))
    result[rows] = near_one(weight[rows])
    result[rows] /= result[rows].mean()
    return result


def check_taught(name: str, output: Output, y: Any, weight: Array, class_weight: Any) -> Array:
    """Return for each score whether any target of positive weight is known, and refuse targets without any.

    Raises
    ------
    ValueError
        That names the data.
    """
    taught = output.taught(y, weight)
    if not taught.any():
        weights = "sample_weight" if class_weight is None else f"sample_weight or class_weight={class_weight!r}"
        raise ValueError(
            f"{name} has no known label of positive weight: each is -1, which means unknown, or weighed 0 by {weights}"
            ". Give at least one known label. Leave out the call where a part of the data has none."
        )
    return taught


def warn_of_untaught(taught: Array) -> None:
    """Warn about labels without a known value."""
    labels = np.flatnonzero(~taught).tolist()
    if labels:
        warnings.warn(
            f"y has no known value of the label {', '.join(map(str, labels[:10]))}: what is predicted for it means "
            "nothing. Leave its column out, or give samples in which it is 0 or 1.",
            UserWarning,
            stacklevel=2,
        )
