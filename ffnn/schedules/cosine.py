"""The schedule :class:`Cosine`."""

from __future__ import annotations

import numpy as np

from ffnn.model import Array
from ffnn.schedule import Schedule
from ffnn.schedules._anneal import anneal

__all__ = ["Cosine"]


class Cosine(Schedule):
    """Cosine annealing from ``initial`` to ``final``.

    I. Loshchilov and F. Hutter (2017), "SGDR: stochastic gradient descent with warm restarts", ICLR; without restarts.

    Parameters
    ----------
    initial, final : float, default=1e-3, 0.0
        The rates at the beginning and at the end.
    """

    def __init__(self, initial: float = 1e-3, final: float = 0.0) -> None:
        self.initial = initial
        self.final = final

    def rates(self, steps: Array, times: Array, horizon: float) -> Array:
        return anneal(self.initial, self.final, np.minimum(times / horizon, 1.0))
