"""The schedule :class:`InverseScaling`."""

from __future__ import annotations

from ffnn.model import Array
from ffnn.schedule import Schedule

__all__ = ["InverseScaling"]


class InverseScaling(Schedule):
    """Divides the rate by a power of the number of steps, as scikit-learn's ``learning_rate="invscaling"``.

    Parameters
    ----------
    initial : float, default=1e-3
        The rate of the first step.
    power : float, default=0.5
        Step t, counted from 1, has the rate ``initial / t ** power``.
    """

    def __init__(self, initial: float = 1e-3, power: float = 0.5) -> None:
        self.initial = initial
        self.power = power

    def rates(self, steps: Array, times: Array, horizon: float) -> Array:
        return self.initial / (steps + 1.0) ** self.power
