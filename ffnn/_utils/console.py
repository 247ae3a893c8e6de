"""Writes to standard output and error, which may be closed, full, or a broken pipe."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

__all__ = ["OutputError", "show", "warn"]

_BROKEN_PIPE, _FAILED = 141, 74  # a shell's status for SIGPIPE, and EX_IOERR of sysexits.h


class OutputError(Exception):
    """Standard output cannot be written to.

    Attributes
    ----------
    status : int
        The exit status.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written to: {error.strerror or error}")
        self.status = _BROKEN_PIPE if isinstance(error, BrokenPipeError) else _FAILED


def show(text: str) -> None:
    """Write lines to standard output, if there is one, with characters that it cannot encode as escapes.

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
        # flushing the buffer at exit would raise the error again
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)
        raise OutputError(error) from error


def warn(text: str, *, end: str = "\n") -> None:
    """Write to standard error, ignoring errors."""
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
