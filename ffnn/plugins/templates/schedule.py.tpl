"""The schedule ``$name``."""

from __future__ import annotations

import numpy as np
from ffnn.model import Array
from ffnn.schedule import Schedule


class $cls(Schedule):
    """One rate in the first half of the training, and a tenth of it in the second.

    Parameters
    ----------
    initial : float, default=1e-3
        The first rate.
    """

    def __init__(self, initial: float = 1e-3) -> None:
        self.initial = initial

    def rates(self, steps: Array, times: Array, horizon: float) -> Array:
        """Return the learning rate of each step."""
        return np.where(times < horizon / 2, self.initial, self.initial / 10)
