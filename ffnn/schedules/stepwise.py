"""The schedule :class:`Stepwise`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ffnn._utils.checks import check_number
from ffnn.model import Array
from ffnn.schedule import Schedule

__all__ = ["Stepwise"]


class Stepwise(Schedule):
    """A user-defined function; a plain function means this schedule.

    Parameters
    ----------
    function : callable
        Takes the number of a step, counted from 0, and returns its rate.
    """

    def __init__(self, function: Callable[[int], float]) -> None:
        self.function = function

    def check(self, name: str = "learning_rate") -> None:
        if not callable(self.function):
            raise TypeError(
                f"{name}={self.function!r}: expected a function of a step's number, got {type(self.function).__name__}."
            )

    def rates(self, steps: Array, times: Array, horizon: float) -> Array:
        return np.array(
            [
                check_number(f"learning_rate({step})", self.function(int(step)), "The function must return a rate.")
                for step in steps
            ],
            dtype=np.float64,
        )
