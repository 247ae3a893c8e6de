"""Safe text representations of objects and exceptions of untrusted plugins."""

from __future__ import annotations

from typing import Final

__all__ = ["describe_error", "message", "one_line", "safe_repr"]

_LONGEST_REPR: Final = 200
_LONGEST_ERROR: Final = 1000


def safe_repr(value: object) -> str:
    """Return the ``repr`` of an object on one line, or its type if its ``repr`` fails."""
    try:
        return one_line(repr(value), _LONGEST_REPR)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return f"an object of type {_type_name(value)}, whose repr fails"


def describe_error(error: BaseException) -> str:
    """Return an exception's type and message on one line."""
    return f"{_type_name(error)}: {message(error)}"


def message(error: BaseException) -> str:
    """Return an exception's message on one line."""
    try:
        return one_line(str(error), _LONGEST_ERROR)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return "(its message cannot be shown)"


def one_line(text: str, most: int = _LONGEST_ERROR) -> str:
    """Return text on one line, shortened, with unprintable characters escaped."""
    line = " ".join(str.__str__(text).split())
    line = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line[:most])
    return line if len(line) <= most else f"{line[:most]}..."


def _type_name(value: object) -> str:
    # bypasses metaclasses, which may override __name__
    return one_line(type.__dict__["__name__"].__get__(type(value)), _LONGEST_REPR)
