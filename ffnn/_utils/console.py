"""Standard output and error, each of which may be closed, full, or a pipe that nobody reads any more."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

__all__ = ["OutputError", "show", "warn"]

_BROKEN_PIPE, _FAILED = 141, 74  # as a shell shows the signal SIGPIPE, and sysexits.h has EX_IOERR


class OutputError(Exception):
    """Standard output cannot be written to.

    Attributes
    ----------
    status : int
        The exit status for it.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written to: {error.strerror or error}")
        self.status = _BROKEN_PIPE if isinstance(error, BrokenPipeError) else _FAILED


def show(text: str) -> None:
    """Write a line or more to standard output, if there is one; characters that it does not have become escapes.

    Raises
    ------
    OutputError
        If it cannot be written to.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(_encodable(f"{text}\n", sys.stdout))
        sys.stdout.flush()
    except OSError as error:
        # what is still in the buffer would raise once more when Python ends
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)
        raise OutputError(error) from error


def warn(text: str, *, end: str = "\n") -> None:
    """Write to standard error, if that is possible."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(_encodable(f"{text}{end}", sys.stderr))
            sys.stderr.flush()


def _encodable(text: str, stream: TextIO) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return text
