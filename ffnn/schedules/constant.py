"""The schedule :class:`Constant`."""

from __future__ import annotations

import numpy as np

from ffnn.model import Array
from ffnn.schedule import Schedule

__all__ = ["Constant"]


class Constant(Schedule):
    """The same rate at each step; a plain number means this schedule.

    Parameters
    ----------
    rate : float, default=1e-3
        The rate.
    """

    def __init__(self, rate: float = 1e-3) -> None:
        self.rate = rate

    def __str__(self) -> str:
        return f"{self.rate:g}"

    def rates(self, steps: Array, times: Array, horizon: float) -> Array:
        return np.full(len(steps), self.rate, dtype=np.float64)
