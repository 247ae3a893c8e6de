"""Checks of the estimators' parameters: an error names the parameter, what was expected, what arrived, the remedy."""

from __future__ import annotations

import difflib
import math
import numbers
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = [
    "check_classes",
    "check_device",
    "check_flag",
    "check_integer",
    "check_number",
    "check_rate",
    "check_share",
    "check_units",
    "unknown_name",
]


def unknown_name(parameter: str, value: Any, names: Iterable[str], otherwise: str) -> ValueError:
    """Return the error for a name that nothing has: with the nearest names, all of them, and what else is taken."""
    names = list(names)
    near = difflib.get_close_matches(str(value), names, n=2, cutoff=0.5)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return ValueError(f"{parameter}={value!r} is not known.{hint} Expected one of {', '.join(names)}, or {otherwise}.")


def _is_real(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(float(value))


def check_classes(classes: Any) -> np.ndarray[Any, Any]:
    """Return the classes that ``partial_fit`` was told, sorted, each of them once.

    Raises
    ------
    ValueError
        If there are none, or they are no labels.
    """
    remedy = "Give all labels that any call will bring, such as numpy.unique(y) of all data."
    try:
        array = np.asarray(classes)
        found = np.unique(array)
    except (TypeError, ValueError) as error:
        raise ValueError(f"classes={classes!r}: expected labels of one type; {error}. {remedy}") from error
    if array.ndim != 1 or not array.size:
        raise ValueError(f"classes={classes!r}: expected a list of labels, got the shape {array.shape}. {remedy}")
    if found.dtype.kind not in "biufUSO" or (found.dtype.kind == "f" and not np.isfinite(found).all()):
        raise ValueError(f"classes={classes!r}: expected numbers or strings, none of them NaN. {remedy}")
    return np.asarray(found)


def check_device(parameter: str, value: Any) -> str | None:
    """Return ``value``, None or what can be a device's name; whether there is such a device, its engine knows.

    Raises
    ------
    TypeError
        If it is neither a string nor None.
    ValueError
        If it is no such name.
    """
    expected = "expected 'cpu', 'gpu', one with its number such as 'gpu:1', or None for the engine's choice"
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{parameter}={value!r}: {expected}; got {type(value).__name__}.")
    if value is not None and not re.fullmatch(r"(cpu|gpu)(:\d+)?", value):
        raise ValueError(f"{parameter}={value!r}: {expected}.")
    return value


def check_flag(parameter: str, value: Any) -> bool:
    """Return ``value``, True or False.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{parameter}={value!r}: expected True or False, got {type(value).__name__}.")
    return bool(value)


def check_integer(parameter: str, value: Any, remedy: str) -> int:
    """Return ``value``, an integer of at least 1.

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is smaller than 1.
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise TypeError(f"{parameter}={value!r}: expected a positive integer, got {type(value).__name__}. {remedy}")
    if value < 1:
        raise ValueError(f"{parameter}={value!r}: expected a positive integer. {remedy}")
    return int(value)


def check_number(parameter: str, value: Any, remedy: str, *, positive: bool = False) -> float:
    """Return ``value``, a finite number that is not negative, nor zero where it must be ``positive``.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is negative, infinite or NaN.
    """
    expected = "a finite number greater than 0" if positive else "a finite number of at least 0"
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{parameter}={value!r}: expected {expected}, got {type(value).__name__}. {remedy}")
    if not _is_real(value) or value < 0 or (positive and value == 0):
        raise ValueError(f"{parameter}={value!r}: expected {expected}. {remedy}")
    return float(value)


def check_rate(parameter: str, value: Any) -> float:
    """Return the share to drop, a number in [0, 1); None counts as 0.

    Raises
    ------
    TypeError
        If it is neither a number nor None.
    ValueError
        If it is outside [0, 1).
    """
    if value is None:
        return 0.0
    remedy = "It is the share of values dropped: use None for no dropout, or 0.5 to drop half."
    rate = check_number(parameter, value, remedy)
    if rate >= 1:
        raise ValueError(f"{parameter}={value!r}: expected a rate in [0, 1), or None. {remedy}")
    return rate


def check_share(parameter: str, value: Any) -> float:
    """Return the share of the data, a number in (0, 1).

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    remedy = "It is a share of the samples; 0.1 is usual."
    share = check_number(parameter, value, remedy, positive=True)
    if share >= 1:
        raise ValueError(f"{parameter}={value!r}: expected a number between 0 and 1, both excluded. {remedy}")
    return share


def check_units(value: Any) -> tuple[int, ...]:
    """Return ``hidden_units`` as a tuple of positive integers; a single integer means one layer.

    Raises
    ------
    TypeError
        If it is neither an integer nor a sequence of integers.
    ValueError
        If one of them is smaller than 1.
    """
    remedy = "Give the units of each hidden layer, such as (256,) or (256, 128); () is a linear model."
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        value = (value,)
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(
            f"hidden_units={value!r}: expected a sequence of positive integers, got {type(value).__name__}. {remedy}"
        )
    units = tuple(value)
    for n in units:
        if not isinstance(n, numbers.Integral) or isinstance(n, bool):
            raise TypeError(f"hidden_units={units!r}: expected positive integers, got {n!r}. {remedy}")
        if n < 1:
            raise ValueError(f"hidden_units={units!r}: expected positive integers, got {n!r}. {remedy}")
    return tuple(int(n) for n in units)
