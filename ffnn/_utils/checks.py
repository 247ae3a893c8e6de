"""Checks of parameters, whose errors name the parameter, the expected and the actual value, and the remedy."""

from __future__ import annotations

import difflib
import numbers
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ffnn._utils.other_names import value_hint

__all__ = [
    "MAX_COUNT",
    "below_one",
    "check_batch_size",
    "check_choice",
    "check_classes",
    "check_device",
    "check_flag",
    "check_fraction",
    "check_integer",
    "check_number",
    "check_rate",
    "check_share",
    "check_units",
    "check_verbose",
    "unknown_name",
]

#: The largest count, which is the largest possible number of entries of an array.
MAX_COUNT = 2**63 - 1
_LARGEST = float(np.finfo(np.float32).max)
_SMALLEST = float(np.finfo(np.float32).tiny)


def unknown_name(parameter: str, value: Any, names: Iterable[str], otherwise: str) -> ValueError:
    """Return the error for an unknown name, with the nearest names, all names, and the alternative to a name."""
    names = list(names)
    near = difflib.get_close_matches(str(value), names, n=2, cutoff=0.5)
    hint = value_hint(parameter, value, names) or (f" Did you mean {' or '.join(map(repr, near))}?" if near else "")
    return ValueError(f"{parameter}={value!r} is not known.{hint} Expected one of {', '.join(names)}, or {otherwise}.")


def check_batch_size(value: Any) -> int:
    """Return ``batch_size``, reduced if necessary to what engines can count in 32 bits.

    Raises
    ------
    TypeError, ValueError
        If it is no positive integer.
    """
    remedy = "It is the number of samples per step; 64 is usual." + value_hint("batch_size", value)
    return min(check_integer("batch_size", value, remedy), 2**30)


def check_choice(parameter: str, value: Any, names: Iterable[str], otherwise: str) -> str:
    """Return ``value``, one of the names.

    Raises
    ------
    ValueError
        If it is none of the names.
    """
    names = list(names)
    if not isinstance(value, str) or value not in names:  # an array would be compared entry by entry
        raise unknown_name(parameter, value, names, otherwise)
    return value


def check_classes(classes: Any) -> np.ndarray[Any, Any]:
    """Return the ``classes`` of ``partial_fit``, sorted and without duplicates.

    Raises
    ------
    ValueError
        If there are none, or they are no labels.
    """
    remedy = "Give all labels of all calls, such as numpy.unique(y) of all data."
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
    """Return ``value``, None or the possible name of a device; only the engine knows whether the device exists.

    Raises
    ------
    TypeError
        If it is neither a string nor None.
    ValueError
        If it cannot be the name of a device.
    """
    expected = "expected 'cpu', 'gpu', one with its number such as 'gpu:1', or None for the engine's choice"
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{parameter}={value!r}: {expected}; got {type(value).__name__}.")
    if value is not None and not re.fullmatch(r"(cpu|gpu)(:\d+)?", value):
        raise ValueError(f"{parameter}={value!r}: {expected}.{value_hint('device', value)}")
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


def check_integer(parameter: str, value: Any, remedy: str, *, most: int = MAX_COUNT) -> int:
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
    """Return ``value``, a finite number of at least 0, or greater than 0 if ``positive``.

    This must hold in float32 too, in which networks compute: there 1e-50 is 0 and 1e50 infinite.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is negative, infinite or NaN, or out of the range of float32.
    """
    expected = "a finite number greater than 0" if positive else "a finite number of at least 0"
    if not isinstance(value, int | float | np.integer | np.floating) or isinstance(value, bool):
        known = isinstance(value, numbers.Number) and not isinstance(value, bool | complex)
        hint = " Convert it to a float." if known else ""
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
    """Return a number as text, abbreviated if it is very long."""
    if isinstance(value, int) and abs(value) >= 10**40:
        return f"(an integer of about {int(value.bit_length() * 0.30103) + 1} digits)"
    return repr(value)


def check_rate(parameter: str, value: Any) -> float:
    """Return a dropout rate, a number in [0, 1); None means 0.

    Raises
    ------
    TypeError
        If it is neither a number nor None.
    ValueError
        If it is outside [0, 1).
    """
    if value is None:
        return 0.0
    remedy = "It is the fraction of values dropped: use None for no dropout, or 0.5 to drop half."
    return check_fraction(parameter, value, remedy, expected="a rate in [0, 1), or None")


def check_fraction(
    parameter: str, value: Any, remedy: str, *, positive: bool = False, expected: str = "a number in [0, 1)"
) -> float:
    """Return ``value``, a number in [0, 1), or in (0, 1) if ``positive``, in float32 too.

    Raises
    ------
    TypeError, ValueError
        If it is no such number.
    """
    part = check_number(parameter, value, remedy, positive=positive)
    if not below_one(part):
        less = "" if part >= 1 else ", and below 1 in float32, too"
        raise ValueError(f"{parameter}={value!r}: expected {expected}{less}. {remedy}")
    return part


def check_share(parameter: str, value: Any) -> float:
    """Return a fraction of the data, a number in (0, 1).

    Raises
    ------
    TypeError, ValueError
        If it is no such number.
    """
    remedy = "It is a fraction of the samples; 0.1 is usual."
    return check_fraction(parameter, value, remedy, positive=True, expected="a number between 0 and 1, both excluded")


def check_units(value: Any) -> tuple[int, ...]:
    """Return ``hidden_units`` as a tuple of positive integers; a single integer means one layer.

    Raises
    ------
    TypeError
        If it is neither an integer nor a sequence of integers.
    ValueError
        If one of them is smaller than 1, or too large for an array.
    """
    remedy = "Give the units of each hidden layer, such as (256,) or (256, 128); () is a linear model."
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        value = (value,)
    # iterators can be read only once, and sets and dicts have no order
    vector = isinstance(value, np.ndarray) and value.ndim == 1
    if not vector and (not isinstance(value, Sequence) or isinstance(value, str | bytes | bytearray | memoryview)):
        raise TypeError(
            f"hidden_units={value!r}: expected a sequence of positive integers, got {type(value).__name__}. {remedy}"
        )
    units = tuple(value)
    for n in units:
        if not isinstance(n, int | np.integer) or isinstance(n, bool):
            raise TypeError(f"hidden_units={units!r}: expected positive integers, got {n!r}. {remedy}")
        if not 1 <= n <= MAX_COUNT:
            bound = f" of at most {MAX_COUNT}" if n > 0 else ""
            raise ValueError(f"hidden_units={units!r}: expected positive integers{bound}, got {n!r}. {remedy}")
    return tuple(int(n) for n in units)


def check_verbose(value: Any) -> bool:
    """Return whether ``verbose`` asks for a progress bar; it is a flag, as in scikit-learn, or a number of at least 0.

    Raises
    ------
    TypeError, ValueError
        If it is neither.
    """
    return bool(value) if isinstance(value, bool | np.bool_) else bool(check_number("verbose", value, "Use 0 or 1."))
