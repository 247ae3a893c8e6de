"""Converts the parameter ``learning_rate`` to a schedule."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone

from ffnn._utils.checks import check_number
from ffnn.plugins import registry
from ffnn.schedule import Schedule
from ffnn.schedules.constant import Constant
from ffnn.schedules.stepwise import Stepwise

__all__ = ["as_schedule"]


def as_schedule(value: Any, name: str = "learning_rate") -> Schedule:
    """Return the schedule for a ``learning_rate``: a number, a schedule, its name, or a function of a step's number.

    Raises
    ------
    TypeError, ValueError
        If it is none of them, or a schedule's parameter is out of range.
    """
    schedule: Schedule
    if isinstance(value, Schedule):
        schedule = clone(value)
        schedule.check(name)
    elif isinstance(value, str):
        schedule = registry.resolve("schedule", value, name, Schedule)
        schedule.check(name)
    elif callable(value) and not isinstance(value, type):
        schedule = Stepwise(value)
    else:
        remedy = "It is the size of a step; 1e-3 is usual. A schedule, such as ffnn.Cosine(1e-3), is accepted too."
        schedule = Constant(check_number(name, value, remedy, positive=True))
    return schedule
