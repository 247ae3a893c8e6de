"""Epochs compiled by XLA: where it is worth the time that compiling takes, and what it needs.

XLA compiles for fixed shapes. So rows, batches and the order of rows are filled up with rows that weigh nothing: to one
of few sizes, so that the folds of a search share a program, or, where the data comes in parts, to that of the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ffnn.model import Array, EpochPlan
from ffnn.network import Network

__all__ = ["Filling", "filled", "is_worth_compiling", "one_of_few", "whole_batches"]

#: Seconds that a training must be expected to take without XLA: nearly as many as compiling takes, once. A step then
#: takes two thirds as long, so that a handful of the shortest such trainings are ahead.
WORTH = 0.5
#: What a step without XLA takes, as the benchmarks show: seconds, and floating-point operations a second.
STEP = 1e-4
RATE = 5e10


def is_worth_compiling(network: Network, plan: EpochPlan) -> bool:
    """Return whether a training by such epochs, of as many as are planned, is shorter with XLA on this machine.

    It depends on what is planned alone, so that the same call gives the same bits. Sparse rows have shapes of their
    own, for which XLA would compile again and again. On a GPU nothing was measured.
    """
    few = plan.n_batches < 4  # too much of what is computed would be the rest of the last one
    if few or network.input.sparse or tf.config.list_logical_devices("GPU"):
        return False
    size = sum(int(np.prod(weight.shape)) for weight in network.trained.values())
    step = STEP + 6 * size * plan.batch_size / RATE  # a product forward and two back
    return plan.n_batches * plan.horizon * step >= WORTH


@dataclass(frozen=True)
class Filling:
    """How data is filled up.

    Parameters
    ----------
    n_rows : int
        The rows that count; at least one that weighs nothing follows.
    n_steps : int
        The steps that there is room for.
    """

    n_rows: int
    n_steps: int


def one_of_few(n: int) -> int:
    """Return one of few numbers that is greater, by a quarter at most."""
    unit = max(1, 2 ** (int(n + 1).bit_length() - 3))
    return -(-(n + 1) // unit) * unit


def filled(array: Array, n: int, value: float = 0) -> Array:
    """Return an array with as many rows more as make it n."""
    rest = np.full((n - len(array), *array.shape[1:]), value, array.dtype)
    return np.concatenate([array, rest])


def whole_batches(plan: EpochPlan, filling: Filling, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return an epoch's arguments with all arrays filled up, for a data set that is.

    Parameters
    ----------
    plan : EpochPlan
        The epoch.
    filling : Filling
        Of the data.
    arguments : mapping
        What the epoch is given otherwise.
    """
    names = ("step_sizes", "shrinkages", "seeds")
    steps = {name: filled(np.asarray(arguments[name]), filling.n_steps) for name in names if name in arguments}
    order = filled(plan.order, filling.n_steps * plan.batch_size, filling.n_rows)
    kept = {name: value for name, value in arguments.items() if name != "batch_size"}
    constants = {name: tf.constant(value) for name, value in {**steps, "order": order}.items()}
    return {**kept, **constants, "n_batches": tf.constant(plan.n_batches, tf.int32)}
