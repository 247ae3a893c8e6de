"""A schedule with one change."""

from __future__ import annotations

from typing import Any

import numpy as np

from ffnn.schedule import Schedule


class HalfTime(Schedule):
    """One rate in the first half of the training, and a tenth of it in the second.

    Parameters
    ----------
    initial : float
        The first rate.
    """

    def __init__(self, initial: float = 1e-3) -> None:
        self.initial = initial

    def rates(self, steps: Any, times: Any, horizon: float) -> Any:
        """Return the learning rate of each step."""
        return np.where(times < horizon / 2, self.initial, self.initial / 10)
