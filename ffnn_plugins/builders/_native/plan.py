"""The plan of an epoch for C."""

from __future__ import annotations

import numpy as np

from ffnn.model import EpochPlan
from ffnn_plugins.builders._native import library
from ffnn_plugins.builders._native.library import address

__all__ = ["PlanArguments"]


class PlanArguments:
    """The C argument for plans, reused from epoch to epoch: making a new one takes most of the time of a small epoch.

    Parameters
    ----------
    decoupled : bool
        Whether weight decay is decoupled from the gradient.
    """

    def __init__(self, decoupled: bool) -> None:
        self._decoupled = decoupled
        self._argument = library.Plan()
        self._allocate(0, 0)

    def _allocate(self, n_rows: int, n_batches: int) -> None:
        self._order = np.empty(n_rows, np.int64)
        self._step_sizes, self._learning_rates = np.empty((2, n_batches))
        self._seeds = np.empty((n_batches, 2), np.int32)
        argument = self._argument
        argument.order, argument.seeds = address(self._order), address(self._seeds)
        argument.step_sizes, argument.learning_rates = address(self._step_sizes), address(self._learning_rates)

    def of(self, plan: EpochPlan) -> library.Plan:
        """Return the argument for a plan, which is valid until the next call."""
        n_rows, n_batches = len(plan.order), plan.n_batches
        if n_rows > len(self._order) or n_batches > len(self._seeds):
            self._allocate(n_rows, n_batches)
        self._order[:n_rows] = plan.order
        self._step_sizes[:n_batches] = plan.step_sizes
        self._learning_rates[:n_batches] = plan.learning_rates
        self._seeds[:n_batches] = plan.seeds
        argument, decay = self._argument, plan.weight_decay
        argument.n_rows, argument.batch_size, argument.n_batches = n_rows, plan.batch_size, n_batches
        argument.decay, argument.shrink = (0.0, decay) if self._decoupled else (decay, 0.0)
        argument.clip_norm = np.inf if plan.clip_norm is None else plan.clip_norm
        argument.clip_value = np.inf if plan.clip_value is None else plan.clip_value
        return argument
