"""Decides whether to compile an epoch by XLA."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from ffnn.model import EpochPlan
from ffnn.network import Network

__all__ = ["is_worth_compiling"]

#: The expected seconds of a training without XLA from which compiling is worthwhile: nearly as long as compiling takes,
#: once. A compiled step takes two thirds of the time, so compiling pays off after a few such trainings.
WORTH = 0.5
#: The cost of a step without XLA, from benchmarks: seconds, and floating-point operations per second.
STEP = 1e-4
RATE = 5e10


def is_worth_compiling(network: Network, plan: EpochPlan) -> bool:
    """Return whether a training of such epochs, up to the plan's horizon, is expected to be shorter with XLA.

    The answer depends on the plan alone, so results stay reproducible to the bit. Sparse rows vary in shape, and XLA
    would compile each shape anew. On GPUs this was not measured.
    """
    few = plan.n_batches < 4  # with so few batches, the padding of the last one costs too much
    if few or network.input.sparse or tf.config.list_logical_devices("GPU"):
        return False
    size = sum(int(np.prod(weight.shape)) for weight in network.trained.values())
    step = STEP + 6 * size * plan.batch_size / RATE  # a product forward and two back
    return plan.n_batches * plan.horizon * step >= WORTH
