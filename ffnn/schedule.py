"""The base class of schedules, which give a learning rate for each step, the same on every engine.

The rate is a function of a step's number and its time in epochs; the horizon is the estimator's ``n_epochs``. So a
``fit`` of k epochs and k calls of ``partial_fit`` take the same steps. Beyond the horizon the rate stays at its final
value.
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
    """Gives the learning rate of each step; its parameters can be searched over."""

    def check(self, name: str = "learning_rate") -> None:
        """Check the schedule's own parameters; `name` is its name in errors.

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
            The numbers of the steps, counted from 0, the estimator's first.
        times : float64 ndarray of shape (n_steps,)
            The time of each step in epochs: 2.5 is in the middle of the third.
        horizon : float
            The planned end of the training, in epochs.

        Returns
        -------
        float64 ndarray of shape (n_steps,)
        """
