"""The standard streams of this process, for what workers print and for what is said about them.

Printing must not end a search: a stream may be None, closed, or a user's own that raises. It must not hold one up for
ever either: if nobody reads a pipe or a terminal, what is printed there is dropped after a while, and a line says so.
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

__all__ = ["STDERR", "STDOUT", "Stream", "say_what_was_dropped", "warn"]

_PATIENCE = 5.0  # seconds for somebody to read before output is dropped
_PIECE = 1024  # characters, which fit into a pipe that has room (4096 bytes) in any encoding


class Stream:
    """``sys.stdout`` or ``sys.stderr``, whichever object that is at the moment; made to be written to, as a file.

    Parameters
    ----------
    name : str
        ``"stdout"`` or ``"stderr"``.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._stuck = False  # whether nobody has read for a while
        self._n_dropped = 0

    def write(self, text: str) -> int:
        """Write a text, or drop it if that is not possible."""
        with contextlib.suppress(Exception):  # whoever closed or replaced the stream does not want to see it
            stream = self._stream
            descriptor = _waits(stream)
            if descriptor is None:
                stream.write(text)
            else:
                with self._lock:
                    for start in range(0, len(text), _PIECE):
                        self._write_piece(stream, descriptor, text[start : start + _PIECE])
        return len(text)

    def flush(self) -> None:
        """Flush the stream, if it does not wait for somebody to read."""
        with contextlib.suppress(Exception):
            if _waits(self._stream) is None:  # else it is flushed with every write
                self._stream.flush()

    def take_dropped(self) -> str:
        """Write the line about what was dropped; return it if there is still no room for it."""
        with self._lock, contextlib.suppress(Exception):
            descriptor = _waits(self._stream)
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

    # for those who ask a file more (its encoding, whether it is a terminal), or compare it

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._stream

    def __hash__(self) -> int:
        return hash(self._name)


STDOUT, STDERR = Stream("stdout"), Stream("stderr")


def say_what_was_dropped() -> None:
    """Say what was dropped, where somebody reads."""
    STDERR.write(STDOUT.take_dropped())
    STDOUT.write(STDERR.take_dropped())


def warn(text: str, category: type[Warning]) -> None:
    """Warn from a thread that must go on, whatever becomes of warnings; where they are errors, print the text."""
    try:
        warnings.warn(text, category, stacklevel=3)
    except Exception:
        STDERR.write(f"{category.__name__}: {text}\n")


def _waits(stream: Any) -> int | None:
    """Return the descriptor of a stream on which a write may have to wait for somebody to read; else None."""
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)
    if not isinstance(stream, io.TextIOWrapper) or not isinstance(raw, io.FileIO):
        return None
    descriptor = raw.fileno()
    return None if stat.S_ISREG(os.fstat(descriptor).st_mode) else descriptor
