"""Checks of the estimators' parameters: an error names the parameter, what was expected, what arrived, the remedy."""

from __future__ import annotations

import difflib
import numbers
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

__all__ = [
    "MOST",
    "below_one",
    "check_batch_size",
    "check_choice",
    "check_classes",
    "check_device",
    "check_flag",
    "check_integer",
    "check_number",
    "check_part",
    "check_rate",
    "check_share",
    "check_units",
    "check_verbose",
    "unknown_name",
]

#: The largest count: as many as an array can have entries.
MOST = 2**63 - 1
_LARGEST = float(np.finfo(np.float32).max)
_SMALLEST = float(np.finfo(np.float32).tiny)


def unknown_name(parameter: str, value: Any, names: Iterable[str], otherwise: str) -> ValueError:
    """Return the error for a name that nothing has: with the nearest names, all of them, and what else is taken."""
    names = list(names)
    near = difflib.get_close_matches(str(value), names, n=2, cutoff=0.5)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return ValueError(f"{parameter}={value!r} is not known.{hint} Expected one of {', '.join(names)}, or {otherwise}.")


def check_batch_size(value: Any) -> int:
    """Return ``batch_size``, at most as large as engines can count in 32 bits: one that large is all the data.

    Raises
    ------
    TypeError, ValueError
        If it is no positive integer.
    """
    return min(check_integer("batch_size", value, "It is the number of samples a step; 64 is usual."), 2**30)


def check_choice(parameter: str, value: Any, names: Iterable[str], otherwise: str) -> str:
    """Return ``value``, one of the names.

    Raises
    ------
    ValueError
        That gives the nearest names, all of them, and what else is taken.
    """
    names = list(names)
    if not isinstance(value, str) or value not in names:  # an array would be compared entry by entry
        raise unknown_name(parameter, value, names, otherwise)
    return value


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


def check_integer(parameter: str, value: Any, remedy: str, *, most: int = MOST) -> int:
    """Return ``value``, an integer from 1 to ``most``.

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is smaller or larger.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise TypeError(f"{parameter}={value!r}: expected a positive integer, got {type(value).__name__}. {remedy}")
    if value < 1:
        raise ValueError(f"{parameter}={value!r}: expected a positive integer. {remedy}")
    if value > most:
        raise ValueError(f"{parameter}={_shown(value)}: expected an integer of at most {most}. {remedy}")
    return int(value)


def check_number(parameter: str, value: Any, remedy: str, *, positive: bool = False) -> float:
    """Return ``value``, a finite number that is not negative, nor zero where it must be ``positive``.

    It must be one in float32 as well, in which networks compute: there 1e-50 is 0 and 1e50 infinite.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is negative, infinite or NaN, or none that float32 has.
    """
    expected = "a finite number greater than 0" if positive else "a finite number of at least 0"
    if not isinstance(value, int | float | np.integer | np.floating) or isinstance(value, bool):
        known = isinstance(value, numbers.Number) and not isinstance(value, bool | complex)
        hint = " Make a float of it." if known else ""
        raise TypeError(f"{parameter}={value!r}: expected {expected}, got {type(value).__name__}.{hint} {remedy}")
    if not value >= 0 or (positive and value == 0) or (isinstance(value, float | np.floating) and np.isinf(value)):
        raise ValueError(f"{parameter}={_shown(value)}: expected {expected}. {remedy}")
    if value > _LARGEST or (positive and value < _SMALLEST):
        bound = f"at most {_LARGEST:.1e}" if value > _LARGEST else f"at least {_SMALLEST:.1e}"
        raise ValueError(
            f"{parameter}={_shown(value)}: expected a number of {bound}, as networks compute in float32. {remedy}"
        )
    return float(value)


def below_one(value: float) -> bool:
    """Return whether a number is less than 1 in float32, too."""
    return bool(np.float32(value) < 1)


def _shown(value: Any) -> str:
    """Return a number as text, in short where it has hundreds of digits."""
    if isinstance(value, int) and abs(value) >= 10**40:
        return f"(an integer of about {int(value.bit_length() * 0.30103) + 1} digits)"
    return repr(value)


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
    return check_part(parameter, value, remedy, expected="a rate in [0, 1), or None")


def check_part(
    parameter: str, value: Any, remedy: str, *, positive: bool = False, expected: str = "a number in [0, 1)"
) -> float:
    """Return ``value``, a number of at least 0, or greater than 0, and less than 1; in float32 too.

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    part = check_number(parameter, value, remedy, positive=positive)
    if not below_one(part):
        less = "" if part >= 1 else ", and below 1 in float32, too"
        raise ValueError(f"{parameter}={value!r}: expected {expected}{less}. {remedy}")
    return part


def check_share(parameter: str, value: Any) -> float:
    """Return the share of the data, a number in (0, 1).

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    remedy = "It is a share of the samples; 0.1 is usual."
    return check_part(parameter, value, remedy, positive=True, expected="a number between 0 and 1, both excluded")


def check_units(value: Any) -> tuple[int, ...]:
    """Return ``hidden_units`` as a tuple of positive integers; a single integer means one layer.

    Raises
    ------
    TypeError
        If it is neither an integer nor a sequence of integers.
    ValueError
        If one of them is smaller than 1, or larger than any layer can be.
    """
    remedy = "Give the units of each hidden layer, such as (256,) or (256, 128); () is a linear model."
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        value = (value,)
    # what an iterator, a set or a dict holds is gone, or in another order, when it is asked again
    vector = isinstance(value, np.ndarray) and value.ndim == 1
    if not vector and (not isinstance(value, Sequence) or isinstance(value, str | bytes | bytearray | memoryview)):
        raise TypeError(
            f"hidden_units={value!r}: expected a sequence of positive integers, got {type(value).__name__}. {remedy}"
        )
    units = tuple(value)
    for n in units:
        if not isinstance(n, int | np.integer) or isinstance(n, bool):
            raise TypeError(f"hidden_units={units!r}: expected positive integers, got {n!r}. {remedy}")
        if not 1 <= n <= MOST:
            bound = f" of at most {MOST}" if n > 0 else ""
            raise ValueError(f"hidden_units={units!r}: expected positive integers{bound}, got {n!r}. {remedy}")
    return tuple(int(n) for n in units)


def check_verbose(value: Any) -> bool:
    """Return whether ``verbose`` asks for a bar: a flag, as scikit-learn has it, or a number of at least 0.

    Raises
    ------
    TypeError, ValueError
        If it is neither.
    """
    return bool(value) if isinstance(value, bool | np.bool_) else bool(check_number("verbose", value, "Use 0 or 1."))
