"""The last lines of a stream, for the messages of errors."""

from __future__ import annotations

import codecs
import collections

__all__ = ["Tail"]

_MOST = 1000  # characters of a line that are kept: its end


class Tail:
    """The last lines of a stream that arrives in pieces, in a bounded amount of memory.

    Parameters
    ----------
    n_lines : int
        The number of lines to keep.
    """

    def __init__(self, n_lines: int) -> None:
        self._lines: collections.deque[str] = collections.deque(maxlen=n_lines)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def add(self, data: bytes) -> None:
        """Append a piece of the stream."""
        *lines, rest = (self._rest + self._decoder.decode(data)).split("\n")
        self._rest = rest[-_MOST:]
        self._lines.extend(line[-_MOST:] for line in lines[-(self._lines.maxlen or 0) :])

    @property
    def text(self) -> str:
        """The lines, with the unfinished last one."""
        lines = [*self._lines, self._rest] if self._rest else self._lines
        return "\n".join(list(lines)[-(self._lines.maxlen or 0) :])
