"""The schedule :class:`OneCycle`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ffnn._utils.checks import check_number
from ffnn.model import Array
from ffnn.schedule import Schedule
from ffnn.schedules._anneal import anneal

__all__ = ["OneCycle"]


class OneCycle(Schedule):
    """One cycle: cosine annealing up to ``maximum`` and down to almost 0.

    L. N. Smith and N. Topin (2018), "Super-convergence: very fast training of neural networks using large learning
    rates", arXiv 1708.07120; with the divisors that have become usual.

    Parameters
    ----------
    maximum : float, default=1e-2
        The highest rate.
    rise : float, default=0.3
        The fraction of the training in which the rate rises, in (0, 1).
    first_divisor, last_divisor : float, default=25.0, 1e4
        The first rate is ``maximum / first_divisor``, the last ``maximum / first_divisor / last_divisor``.
    """

    def __init__(
        self, maximum: float = 1e-2, rise: float = 0.3, first_divisor: float = 25.0, last_divisor: float = 1e4
    ) -> None:
        self.maximum = maximum
        self.rise = rise
        self.first_divisor = first_divisor
        self.last_divisor = last_divisor

    def _check(self, parameter: str, name: str, value: Any) -> None:
        remedy = "It is the fraction of the training in which the rate rises; 0.3 is usual."
        if check_number(name, value, "See ffnn.OneCycle.", positive=True) >= 1 and parameter == "rise":
            raise ValueError(f"{name}={value!r}: expected a number in (0, 1). {remedy}")

    def rates(self, steps: Array, times: Array, horizon: float) -> Array:
        share = np.minimum(times / horizon, 1.0)
        first = self.maximum / self.first_divisor
        up = anneal(first, self.maximum, np.minimum(share / self.rise, 1.0))
        down = anneal(self.maximum, first / self.last_divisor, np.maximum(share - self.rise, 0.0) / (1 - self.rise))
        return np.where(share < self.rise, up, down)
