"""The schedule :class:`Exponential`."""

from __future__ import annotations

from typing import Any

from ffnn._utils.checks import check_number
from ffnn.model import Array
from ffnn.schedule import Schedule

__all__ = ["Exponential"]


class Exponential(Schedule):
    """Exponential decay by the factor ``decay`` per epoch, continuous over the steps.

    Parameters
    ----------
    initial : float, default=1e-3
        The rate of the first step.
    decay : float, default=0.9
        The factor per epoch, in (0, 1].
    """

    def __init__(self, initial: float = 1e-3, decay: float = 0.9) -> None:
        self.initial = initial
        self.decay = decay

    def _check(self, parameter: str, name: str, value: Any) -> None:
        remedy = "It is the factor per epoch; 0.9 is usual." if parameter == "decay" else "It is the first rate."
        if check_number(name, value, remedy, positive=True) > 1 and parameter == "decay":
            raise ValueError(f"{name}={value!r}: expected a number in (0, 1]. {remedy}")

    def rates(self, steps: Array, times: Array, horizon: float) -> Array:
        return self.initial * self.decay**times
