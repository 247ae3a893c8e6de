"""Whether an epoch is worth compiling by XLA."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from ffnn.model import EpochPlan
from ffnn.network import Network

__all__ = ["is_worth_compiling"]

#: Seconds that a training must be expected to take without XLA: nearly as many as compiling takes, once. A step then
#: takes two thirds as long, so a handful of the shortest such trainings are ahead.
WORTH = 0.5
#: The cost of a step without XLA, as the benchmarks show: seconds, and floating-point operations a second.
STEP = 1e-4
RATE = 5e10


def is_worth_compiling(network: Network, plan: EpochPlan) -> bool:
    """Return whether a training of such epochs, up to the plan's horizon, is expected to be shorter with XLA.

    The answer depends on the plan alone, so the same call gives the same bits. Sparse rows vary in shape, for which
    XLA would compile again and again. On a GPU nothing was measured.
    """
    few = plan.n_batches < 4  # too much of what is computed would be padding of the last batch
    if few or network.input.sparse or tf.config.list_logical_devices("GPU"):
        return False
    size = sum(int(np.prod(weight.shape)) for weight in network.trained.values())
    step = STEP + 6 * size * plan.batch_size / RATE  # a product forward and two back
    return plan.n_batches * plan.horizon * step >= WORTH
