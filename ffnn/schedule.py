"""What a schedule is: a learning rate for each step, the same on every engine.

Where a step stands is said by its number and by the time, in epochs, at which it is taken; the horizon is the
estimator's ``n_epochs``. So a ``fit`` of k epochs and k calls of ``partial_fit`` take the same steps. Past the horizon
the rate stays where the schedule ends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from sklearn.base import BaseEstimator

from ffnn._utils.checks import check_number
from ffnn._utils.documentation import DocumentedMixin
from ffnn.model import Array

__all__ = ["Schedule"]


class Schedule(DocumentedMixin, BaseEstimator, ABC):
    """How the learning rate changes while a network is trained; its parameters are axes of a grid."""

    def check(self, name: str = "learning_rate") -> None:
        """Check the schedule's own parameters; `name` is what it is called in an error.

        Raises
        ------
        TypeError, ValueError
            If one is out of range.
        """
        for parameter, value in self.get_params(deep=False).items():
            self._check(parameter, f"{name}.{parameter}", value)

    def _check(self, parameter: str, name: str, value: Any) -> None:
        check_number(name, value, "It is the size of a step; 1e-3 is usual.", positive=parameter != "final")

    def __str__(self) -> str:
        return repr(self)

    @abstractmethod
    def rates(self, steps: Array, times: Array, horizon: float) -> Array:
        """Return the learning rate of each step.

        Parameters
        ----------
        steps : integer ndarray of shape (n_steps,)
            The numbers of the steps, counted from the estimator's first, 0.
        times : float64 ndarray of shape (n_steps,)
            The time of each step in epochs: 2.5 is in the middle of the third.
        horizon : float
            The time at which the training is meant to end, in epochs.

        Returns
        -------
        float64 ndarray of shape (n_steps,)
        """
