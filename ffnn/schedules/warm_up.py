"""The schedule :class:`WarmUp`."""

from __future__ import annotations

import numpy as np

from ffnn._utils.checks import check_number
from ffnn.model import Array
from ffnn.schedule import Schedule
from ffnn.schedules._conversion import as_schedule

__all__ = ["WarmUp"]


class WarmUp(Schedule):
    """Linear warm-up from 0 to the rate of another schedule, which it then follows.

    P. Goyal et al. (2017), "Accurate, large minibatch SGD: training ImageNet in 1 hour", arXiv 1706.02677.

    Parameters
    ----------
    then : float or Schedule, default=1e-3
        The rate or schedule after the warm-up.
    n_epochs : float, default=1.0
        The length of the warm-up in epochs; 0.5 is half of the first.
    """

    def __init__(self, then: float | Schedule = 1e-3, n_epochs: float = 1.0) -> None:
        self.then = then
        self.n_epochs = n_epochs

    def check(self, name: str = "learning_rate") -> None:
        as_schedule(self.then, f"{name}.then")
        check_number(f"{name}.n_epochs", self.n_epochs, "It is how long the rate rises.", positive=True)

    def rates(self, steps: Array, times: Array, horizon: float) -> Array:
        # the first step has a small rate, since at 0 it would do nothing
        up = np.minimum((times + self.n_epochs / 100) / self.n_epochs, 1.0)
        return up * as_schedule(self.then).rates(steps, times, horizon)
