"""Padding with rows of weight 0 to a fixed shape, which programs compiled by XLA need.

There are few padded sizes, so that the folds of a search share a program. Data that comes in parts is padded to the
size of the first part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ffnn.model import Array, EpochPlan

__all__ = ["Padding", "padded", "padded_plan", "padded_size"]


@dataclass(frozen=True)
class Padding:
    """The shape that data is padded to.

    Parameters
    ----------
    n_rows : int
        The number of rows without the padding, which is at least one row.
    n_steps : int
        The number of steps with the padding.
    """

    n_rows: int
    n_steps: int


def padded_size(n: int) -> int:
    """Return one of few sizes that is greater than n, by a quarter at most."""
    unit = max(1, 2 ** (int(n + 1).bit_length() - 3))
    return -(-(n + 1) // unit) * unit


def padded(array: Array, n: int, value: float = 0) -> Array:
    """Return an array padded to n rows."""
    rest = np.full((n - len(array), *array.shape[1:]), value, array.dtype)
    return np.concatenate([array, rest])


def padded_plan(plan: EpochPlan, padding: Padding, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return an epoch's tensors, padded as its data is.

    Parameters
    ----------
    plan : EpochPlan
        The epoch.
    padding : Padding
        The padding of the data.
    tensors : mapping
        The result of :func:`~ffnn.builders._tensorflow.epoch.runner.plan_tensors`.
    """
    names = ("step_sizes", "shrinkages", "seeds")
    steps = {name: padded(np.asarray(tensors[name]), padding.n_steps) for name in names if name in tensors}
    order = padded(plan.order, padding.n_steps * plan.batch_size, padding.n_rows)
    kept = {name: value for name, value in tensors.items() if name != "batch_size"}
    constants = {name: tf.constant(value) for name, value in {**steps, "order": order}.items()}
    return {**kept, **constants, "n_batches": tf.constant(plan.n_batches, tf.int32)}
