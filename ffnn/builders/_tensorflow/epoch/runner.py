"""The base class of the runners of epochs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import tensorflow as tf

from ffnn.builders._state import Variables
from ffnn.builders._tensorflow.data.training_data import EpochPart
from ffnn.builders._tensorflow.memory import tensor_of
from ffnn.model import EpochPlan, Rows

__all__ = ["EpochRunner", "plan_tensors"]

Memory = TypeVar("Memory")


class EpochRunner(ABC, Generic[Memory]):
    """Runs the epochs of a program.

    Fits that share a program share its runner. Each fit has its own ``memory``, for state kept between epochs.
    """

    @abstractmethod
    def memory(self) -> Memory:
        """Return the memory of a new fit."""

    def on_host(self, x: Rows) -> bool:
        """Return whether epochs take the rows as NumPy arrays rather than as tensors."""
        return False

    def pads(self, plan: EpochPlan) -> bool:
        """Return whether an epoch takes its data padded, as a program compiled by XLA does."""
        return False

    def begin_epoch(self, variables: Variables, plan: EpochPlan, memory: Memory) -> None:
        """Prepare for an epoch, before its first part; does nothing by default."""

    @abstractmethod
    def train(self, variables: Variables, part: EpochPart, scalars: Any, memory: Memory) -> tuple[float, float]:
        """Train a part of an epoch in place; return the sum of the losses and their total weight.

        Parameters
        ----------
        variables : Variables
            The fit's variables.
        part : EpochPart
            The steps and their data.
        scalars : tensor of shape (n_scalars,)
            The network's scalars.
        memory
            The fit's memory.
        """

    @abstractmethod
    def defers(self, weight_decay: float) -> bool:
        """Return whether epochs with this weight decay may postpone work to :meth:`settle`."""

    @abstractmethod
    def settle(self, variables: Variables, memory: Memory) -> None:
        """Do the work that epochs have postponed, which brings the variables up to date."""


def plan_tensors(plan: EpochPlan, dtype: str) -> dict[str, Any]:
    """Return an epoch's plan as tensors, with those for weight decay only if there is any."""
    tensors = {
        "order": tensor_of(plan.order),
        "batch_size": tf.constant(plan.batch_size, tf.int32),
        "step_sizes": tensor_of(plan.step_sizes.astype(dtype)),
        "seeds": tensor_of(plan.seeds),
        "clipping": {name: tf.constant(bound, dtype) for name, bound in plan.clipping.items()},
    }
    if plan.weight_decay > 0:
        tensors["decay"] = tf.constant(plan.weight_decay, dtype)
        tensors["shrinkages"] = tensor_of((plan.learning_rates * plan.weight_decay).astype(dtype))
    return tensors
