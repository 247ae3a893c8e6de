"""The standard streams of this process, for the output of workers and for messages about them.

Printing must not end a search: a stream may be None, closed, or a user's object that raises. Nor may it block a search:
if no process reads a pipe or a terminal, output to it is dropped after a while, and a line says how much.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import stat
import sys
import threading
import warnings
from typing import Any

from ffnn.parallel.words import size_in_words

__all__ = ["STDERR", "STDOUT", "Stream", "report_dropped_output", "warn"]

_PATIENCE = 5.0  # seconds without a reader after which output is dropped
_PIECE = 1024  # characters; in any encoding they fit into a pipe that is ready for writing (4096 bytes)


class Stream:
    """A file that writes to the current ``sys.stdout`` or ``sys.stderr``.

    Parameters
    ----------
    name : str
        ``"stdout"`` or ``"stderr"``.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._stuck = False  # whether there has been no reader for a while
        self._n_dropped = 0

    def write(self, text: str) -> int:
        """Write a text; drop it if the stream cannot be written to."""
        with contextlib.suppress(Exception):  # the user closed or replaced the stream
            stream = self._stream
            descriptor = _blocking_descriptor(stream)
            if descriptor is None:
                stream.write(text)
            else:
                with self._lock:
                    for start in range(0, len(text), _PIECE):
                        self._write_piece(stream, descriptor, text[start : start + _PIECE])
        return len(text)

    def flush(self) -> None:
        """Flush the stream, unless that could block."""
        with contextlib.suppress(Exception):
            if _blocking_descriptor(self._stream) is None:  # otherwise every write flushes it
                self._stream.flush()

    def take_dropped(self) -> str:
        """Write the line about dropped output; return it if there is still no room."""
        with self._lock, contextlib.suppress(Exception):
            descriptor = _blocking_descriptor(self._stream)
            if self._n_dropped and descriptor is not None:
                if self._has_room(descriptor):
                    self._write_piece(self._stream, descriptor, "")
                else:
                    line, self._n_dropped = self._line, 0
                    return line
        return ""

    @property
    def _stream(self) -> Any:
        return getattr(sys, self._name, None)

    @property
    def _line(self) -> str:
        what = f"{size_in_words(self._n_dropped)} of output dropped"
        return f"\n[ffnn: {what}, as nobody read {self._name} for {_PATIENCE:g} seconds]\n"

    def _write_piece(self, stream: Any, descriptor: int, piece: str) -> None:
        if not self._has_room(descriptor):
            self._n_dropped += len(piece.encode("utf-8", "replace"))
            return
        if self._n_dropped:
            piece, self._n_dropped = self._line + piece, 0
        stream.write(piece)
        stream.flush()

    def _has_room(self, descriptor: int) -> bool:
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        self._stuck = not poll.poll(0 if self._stuck else _PATIENCE * 1000)
        return not self._stuck

    # other attributes of a file (its encoding, whether it is a terminal), and comparison

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._stream

    def __hash__(self) -> int:
        return hash(self._name)


STDOUT, STDERR = Stream("stdout"), Stream("stderr")


def report_dropped_output() -> None:
    """Report the output dropped from one stream on the other."""
    STDERR.write(STDOUT.take_dropped())
    STDOUT.write(STDERR.take_dropped())


def warn(text: str, category: type[Warning]) -> None:
    """Warn from a thread that must not raise; where warnings are errors, print the text."""
    try:
        warnings.warn(text, category, stacklevel=3)
    except Exception:
        STDERR.write(f"{category.__name__}: {text}\n")


def _blocking_descriptor(stream: Any) -> int | None:
    """Return the descriptor of a stream whose writes can block (a pipe or a terminal); else None."""
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)
    if not isinstance(stream, io.TextIOWrapper) or not isinstance(raw, io.FileIO):
        return None
    descriptor = raw.fileno()
    return None if stat.S_ISREG(os.fstat(descriptor).st_mode) else descriptor
