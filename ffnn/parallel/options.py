"""Checks of what the user gave, with messages that say what was expected, what arrived, and what to do."""

from __future__ import annotations

import difflib
import inspect
import math
import numbers
from typing import Any

__all__ = ["check_count", "check_options", "check_seconds"]


def check_count(name: str, value: object, least: int) -> int:
    """Return a whole number that is at least `least`.

    Raises
    ------
    TypeError, ValueError
        If it is none, or too small.
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


def check_seconds(name: str, value: object) -> float:
    """Return a positive, finite number of seconds.

    Raises
    ------
    TypeError, ValueError
        If it is none.
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
    """Check that a class takes the options by which the user wants to make one.

    Raises
    ------
    TypeError
        If it does not know one of them; the nearest name is given.
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
