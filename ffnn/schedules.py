"""The schedules of the learning rate, and what a plain number or function means as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import clone

from ffnn.parameters import check_integer, check_number
from ffnn.schedule import Schedule

__all__ = [
    "Constant", "CosLog", "Cosine", "Exponential", "InverseScaling", "Linear", "OneCycle", "Schedule", "Stepwise",
    "WarmUp",
]  # fmt: skip

Array = np.ndarray[Any, np.dtype[Any]]


class Constant(Schedule):
    """The same rate at each step; what a plain number means.

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


class Cosine(Schedule):
    """From ``initial`` to ``final`` along half a cosine.

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
        return _anneal(self.initial, self.final, np.minimum(times / horizon, 1.0))


class CosLog(Schedule):
    """Up to ``maximum`` and down to 0 again some times, each time for about twice as long as the time before.

    D. Holzmüller, L. Grinsztajn and I. Steinwart (2024), "Better by default: strong pre-tuned MLPs and boosted trees on
    tabular data", NeurIPS, arXiv 2407.04491: coslog_k.

    Parameters
    ----------
    maximum : float, default=1e-2
        The highest rate.
    n_cycles : int, default=4
        How often it is reached.
    """

    def __init__(self, maximum: float = 1e-2, n_cycles: int = 4) -> None:
        self.maximum = maximum
        self.n_cycles = n_cycles

    def _check(self, parameter: str, name: str, value: Any) -> None:
        if parameter == "n_cycles":
            check_integer(name, value, "It is how often the rate rises and falls; 4 is usual.", most=50)
        else:
            super()._check(parameter, name, value)

    def rates(self, steps: Array, times: Array, horizon: float) -> Array:
        share = np.minimum(times / horizon, 1.0)
        phase = np.log2(1 + (2 ** int(self.n_cycles) - 1) * share)
        return np.asarray(self.maximum * (1 - np.cos(2 * np.pi * phase)) / 2)


class Exponential(Schedule):
    """Multiplied by ``decay`` from epoch to epoch, a little at each step.

    Parameters
    ----------
    initial : float, default=1e-3
        The rate of the first step.
    decay : float, default=0.9
        The factor of an epoch, in (0, 1].
    """

    def __init__(self, initial: float = 1e-3, decay: float = 0.9) -> None:
        self.initial = initial
        self.decay = decay

    def _check(self, parameter: str, name: str, value: Any) -> None:
        remedy = "It is the factor of an epoch; 0.9 is usual." if parameter == "decay" else "It is the first rate."
        if check_number(name, value, remedy, positive=True) > 1 and parameter == "decay":
            raise ValueError(f"{name}={value!r}: expected a number in (0, 1]. {remedy}")

    def rates(self, steps: Array, times: Array, horizon: float) -> Array:
        return self.initial * self.decay**times


class InverseScaling(Schedule):
    """Divided by a power of the number of steps, as scikit-learn's ``learning_rate="invscaling"``.

    Parameters
    ----------
    initial : float, default=1e-3
        The rate of the first step.
    power : float, default=0.5
        Step t, from 1, has the rate ``initial / t ** power``.
    """

    def __init__(self, initial: float = 1e-3, power: float = 0.5) -> None:
        self.initial = initial
        self.power = power

    def rates(self, steps: Array, times: Array, horizon: float) -> Array:
        return self.initial / (steps + 1.0) ** self.power


class Linear(Schedule):
    """From ``initial`` to ``final`` in a straight line.

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


class OneCycle(Schedule):
    """Up to ``maximum`` and down again to almost nothing, each along half a cosine.

    L. N. Smith and N. Topin (2018), "Super-convergence: very fast training of neural networks using large learning
    rates", arXiv 1708.07120; with the divisors that became usual.

    Parameters
    ----------
    maximum : float, default=1e-2
        The highest rate.
    rise : float, default=0.3
        The share of the training in which the rate rises, in (0, 1).
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
        remedy = "It is the share of the training in which the rate rises; 0.3 is usual."
        if check_number(name, value, "See ffnn.OneCycle.", positive=True) >= 1 and parameter == "rise":
            raise ValueError(f"{name}={value!r}: expected a number in (0, 1). {remedy}")

    def rates(self, steps: Array, times: Array, horizon: float) -> Array:
        share = np.minimum(times / horizon, 1.0)
        first = self.maximum / self.first_divisor
        up = _anneal(first, self.maximum, np.minimum(share / self.rise, 1.0))
        down = _anneal(self.maximum, first / self.last_divisor, np.maximum(share - self.rise, 0.0) / (1 - self.rise))
        return np.where(share < self.rise, up, down)


class WarmUp(Schedule):
    """Rises in a straight line from 0 to what another schedule says, and follows that.

    P. Goyal et al. (2017), "Accurate, large minibatch SGD: training ImageNet in 1 hour", arXiv 1706.02677.

    Parameters
    ----------
    then : float or Schedule, default=1e-3
        The rate, or the schedule, that is reached.
    n_epochs : float, default=1.0
        The epochs that it takes; 0.5 is half of the first.
    """

    def __init__(self, then: float | Schedule = 1e-3, n_epochs: float = 1.0) -> None:
        self.then = then
        self.n_epochs = n_epochs

    def check(self, name: str = "learning_rate") -> None:
        as_schedule(self.then, f"{name}.then")
        check_number(f"{name}.n_epochs", self.n_epochs, "It is how long the rate rises.", positive=True)

    def rates(self, steps: Array, times: Array, horizon: float) -> Array:
        # the first step is taken at a share of the way up, not at 0: it would do nothing
        up = np.minimum((times + self.n_epochs / 100) / self.n_epochs, 1.0)
        return up * as_schedule(self.then).rates(steps, times, horizon)


class Stepwise(Schedule):
    """A function of the user's; what a plain function means.

    Parameters
    ----------
    function : callable
        Takes the number of a step, from 0, and returns its rate.
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


def as_schedule(value: Any, name: str = "learning_rate") -> Schedule:
    """Return what a ``learning_rate`` means, checked: a number, a schedule, or a function of a step's number.

    Raises
    ------
    TypeError, ValueError
        If it is none of them, or a schedule's parameter is out of range.
    """
    schedule: Schedule
    if isinstance(value, Schedule):
        schedule = clone(value)
        schedule.check(name)
    elif callable(value) and not isinstance(value, type):
        schedule = Stepwise(value)
    else:
        remedy = "It is the size of a step; 1e-3 is usual. A schedule, such as ffnn.Cosine(1e-3), is taken too."
        schedule = Constant(check_number(name, value, remedy, positive=True))
    return schedule


def _anneal(start: float, end: float, share: Array) -> Array:
    """Return the rates along half a cosine from ``start`` (share 0) to ``end`` (share 1)."""
    return np.asarray(end + (start - end) * (1 + np.cos(np.pi * share)) / 2)
