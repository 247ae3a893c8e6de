"""The protocol of a client and an agent: frames of a kind, a channel, a size, and that many bytes.

A channel is one command, or one upload to the store; channel 0 is the agent itself.
"""

from __future__ import annotations

import os
import selectors
import struct

MAGIC = b"\0ffnn agent 1\0"  # the agent's first bytes; a login shell may have printed before them
HEAD = struct.Struct("!BIQ")
CHUNK = 1 << 18  # the most bytes that a frame of data carries

HELLO = 1  # agent: facts about the host
CONFIG = 2  # client: the lease, the supervisor's source
START = 3  # client: start a command on this channel
DATA = 4  # for a command's standard input or the store; from its standard output
EOF = 5  # client: no more data
STDERR = 6  # from a command's standard error
CLOSE = 7  # client: end the command
EXITED = 8  # agent: the command's exit code
PUT = 9  # client: data for the store follows on this channel
STORED = 10  # agent: None, or the reason why it could not be stored
DROP = 11  # client: the store may delete this data
PING = 12
PONG = 13
GRANT = 14  # client: how many bytes of a command's standard output were read; as many more may be sent

WINDOW = 1 << 21  # bytes of a command's standard output that may be in transit or unread by the client


class Reader:
    """Reads available bytes into one buffer: allocating a large buffer for every read would cost more than the read."""

    def __init__(self, size: int = 4 * CHUNK) -> None:
        self._memory = memoryview(bytearray(size))

    def read(self, descriptor: int, most: int | None = None) -> bytes:
        """Read as ``os.read`` does."""
        return bytes(self._memory[: os.readv(descriptor, [self._memory[:most]])])


def write_all(descriptor: int, data: bytes, patience: float | None = None) -> None:
    """Write to a descriptor that does not block.

    Raises
    ------
    OSError
        If the other end is closed, or does not read for `patience` seconds.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            with selectors.DefaultSelector() as selector:
                selector.register(descriptor, selectors.EVENT_WRITE)
                if not selector.select(patience):
                    raise TimeoutError from None
