"""A worker's questions about what the workers of other hosts have computed: see :mod:`ffnn.parallel.slots.exchange`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

from ffnn.parallel.tasks.wire import Buffer

__all__ = ["PATIENCE", "ask", "ask_through", "tell"]

PATIENCE = 120.0
"""Seconds for which a worker waits for the worker of another host that computes what it needs."""


class _Channel(Protocol):
    """The channel of a worker, as far as it is needed here."""

    def ask(self, name: str, patience: float) -> Sequence[Buffer] | None:
        """Ask about a value and return the answer; None if there is none in time."""

    def tell(self, name: str, data: Buffer | None) -> None:
        """Report a computed value, with its data; or without, if each host is to compute it itself."""


_channel: _Channel | None = None
_pid: int | None = None


def ask_through(channel: _Channel) -> None:
    """Ask through this channel from now on, in this process."""
    global _channel, _pid
    _channel, _pid = channel, os.getpid()


def ask(name: str) -> tuple[Buffer | None, bool]:
    """Ask for a value that another host may have, and wait while another one computes it.

    Returns
    -------
    data : buffer or None
        The value, as it was told; None if it is to be computed here.
    wanted : bool
        Whether others want to be told of it.
    """
    if _channel is None or _pid != os.getpid():
        return None, False
    answer = _channel.ask(name, PATIENCE)
    if answer is None:
        return None, True
    wanted, *data = answer
    return (data[0] if data else None), wanted == b"1"


def tell(name: str, data: Buffer | None) -> None:
    """Tell the other hosts of a value that was computed here; None lets them compute it, too."""
    if _channel is not None and _pid == os.getpid():
        _channel.tell(name, data)
