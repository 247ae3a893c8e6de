"""Checks of executors' options, with errors that name what was expected, what arrived and the remedy."""

from __future__ import annotations

import difflib
import inspect
import math
import numbers
from dataclasses import dataclass
from typing import Any

__all__ = ["TaskLimits", "check_count", "check_optional_count", "check_options", "check_seconds"]


@dataclass(frozen=True, kw_only=True)
class TaskLimits:
    """The limits of a task and its worker process, which every executor takes as options; checked when made.

    Attributes
    ----------
    task_timeout : float or None
        Seconds that a task may run, not counting those in which it imports modules.
    max_retries : int
        The number of times that a task is started again after its worker was lost.
    max_tasks_per_child : int or None
        The number of tasks after which a worker process is replaced by a fresh one.
    start_timeout : float
        Seconds that a worker process may take to start, and to take a task.

    Raises
    ------
    TypeError, ValueError
        If one has the wrong type, or is too small.
    """

    task_timeout: float | None
    max_retries: int
    max_tasks_per_child: int | None
    start_timeout: float

    def __post_init__(self) -> None:
        timeout = None if self.task_timeout is None else check_seconds("task_timeout", self.task_timeout)
        object.__setattr__(self, "task_timeout", timeout)
        object.__setattr__(self, "start_timeout", check_seconds("start_timeout", self.start_timeout))
        object.__setattr__(self, "max_retries", check_count("max_retries", self.max_retries, 0))
        most = check_optional_count("max_tasks_per_child", self.max_tasks_per_child)
        object.__setattr__(self, "max_tasks_per_child", most)


def check_count(name: str, value: object, least: int) -> int:
    """Return a whole number that is at least `least`.

    Raises
    ------
    TypeError, ValueError
        If it is not a whole number, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(
            f"{name} must be a whole number, at least {least}; got {value!r} of type {type(value).__name__}. "
            f"Pass an int, for instance {name}={max(least, 2)}."
        )
    if value < least:
        raise ValueError(
            f"{name} must be at least {least}; got {value!r}. Pass {name}={max(least, 1)} or more"
            + (", or leave it out for one per CPU." if name == "n_workers" else ".")
        )
    return int(value)


def check_optional_count(name: str, value: object) -> int | None:
    """Return None, or a whole number that is at least 1.

    Raises
    ------
    TypeError, ValueError
        If it is neither.
    """
    return None if value is None else check_count(name, value, 1)


def check_seconds(name: str, value: object) -> float:
    """Return a positive, finite number of seconds.

    Raises
    ------
    TypeError, ValueError
        If it is not a number, or not positive and finite.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"{name} must be a number of seconds; got {value!r} of type {type(value).__name__}. "
            f"Pass a number, for instance {name}=60."
        )
    seconds = float(value)
    if not 0 < seconds < math.inf:
        raise ValueError(f"{name} must be a positive number of seconds; got {value!r}. Pass {name}=60, for instance.")
    return seconds


def check_options(kind: type[Any], name: str, options: dict[str, Any]) -> None:
    """Check that a class takes the options that the user passed for it.

    Raises
    ------
    TypeError
        If it does not know one of them; the error suggests the nearest name.
    """
    parameters = inspect.signature(kind).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    known = [key for key, parameter in parameters.items() if parameter.kind is not parameter.VAR_POSITIONAL]
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise TypeError(
                f"the executor {name!r} has no option {option!r}.{hint} "
                f"Its options: {', '.join(map(repr, known)) or '(none)'}."
            )
