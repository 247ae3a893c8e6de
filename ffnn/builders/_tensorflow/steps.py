"""How the epochs of a program are run: what ``traced_steps`` and ``fused_steps`` are two ways of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import tensorflow as tf

from ffnn.builders._tensorflow.compiled import Filling
from ffnn.builders._tensorflow.memory import tensor_of
from ffnn.model import EpochPlan, Rows

__all__ = ["Steps", "arguments_of"]

Memory = TypeVar("Memory")


class Steps(ABC, Generic[Memory]):
    """How the epochs of a program are run.

    Fits that share the program share this; what one of them has to remember from epoch to epoch is its own ``memory``.
    """

    @abstractmethod
    def memory(self) -> Memory:
        """Return what a fit remembers, at its beginning."""

    def on_host(self, x: Rows) -> bool:
        """Return whether epochs want the rows as NumPy arrays, and not as tensors."""
        return False

    def fills(self, plan: EpochPlan) -> bool:
        """Return whether an epoch wants its data filled up, as what XLA compiles does."""
        return False

    def begin_epoch(self, weights: list[Any], slots: list[list[Any]], plan: EpochPlan, memory: Memory) -> None:
        """Take note of all steps of an epoch, which :meth:`train_epoch` takes some at a time; nothing by default."""

    @abstractmethod
    def train_epoch(
        self, weights: list[Any], extras: list[Any], slots: list[list[Any]], data: tuple[Any, ...], scalars: Any,
        plan: EpochPlan, memory: Memory, filling: Filling | None = None,
    ) -> tuple[float, float]:  # fmt: skip
        """Train an epoch, or some of its steps; return the sum of the losses and their mass.

        Parameters
        ----------
        weights, extras : list of tf.Variable
            What the gradient trains, and what is learned otherwise; both change in place.
        slots : list of list of tf.Variable
            The solver's, a list a weight; they change in place.
        data : tuple
            The arrays of X, the targets and the weights of the rows.
        scalars : tensor of shape (n_scalars,)
            The network's.
        plan : EpochPlan
            The steps.
        memory
            The fit's own.
        filling : Filling, optional
            How the data is filled up, if it is.
        """

    @abstractmethod
    def waits(self, weight_decay: float) -> bool:
        """Return whether epochs of a weight decay leave something for :meth:`settle`."""

    @abstractmethod
    def settle(self, weights: list[Any], slots: list[list[Any]], memory: Memory) -> None:
        """Bring the variables up to date with what epochs left for later."""


def arguments_of(plan: EpochPlan, dtype: str) -> dict[str, Any]:
    """Return an epoch's plan as tensors; what is only there for weight decay where there is some."""
    arguments = {
        "order": tensor_of(plan.order),
        "batch_size": tf.constant(plan.batch_size, tf.int32),
        "step_sizes": tensor_of(plan.step_sizes.astype(dtype)),
        "seeds": tensor_of(plan.seeds),
        "clipping": {name: tf.constant(bound, dtype) for name, bound in plan.clipping.items()},
    }
    if plan.weight_decay > 0:
        arguments["decay"] = tf.constant(plan.weight_decay, dtype)
        arguments["shrinkages"] = tensor_of((plan.learning_rates * plan.weight_decay).astype(dtype))
    return arguments
