"""The schedule :class:`Linear`."""

from __future__ import annotations

import numpy as np

from ffnn.model import Array
from ffnn.schedule import Schedule

__all__ = ["Linear"]


class Linear(Schedule):
    """Linear change from ``initial`` to ``final``.

    Parameters
    ----------
    initial, final : float, default=1e-3, 0.0
        The rates at the beginning and at the end.
    """

    def __init__(self, initial: float = 1e-3, final: float = 0.0) -> None:
        self.initial = initial
        self.final = final

    def rates(self, steps: Array, times: Array, horizon: float) -> Array:
        return np.asarray(self.initial + (self.final - self.initial) * np.minimum(times / horizon, 1.0))
