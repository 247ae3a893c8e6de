"""scikit-learn's callbacks in tasks: what they report over a Unix socket, where that socket cannot be reached.

``ProgressBar`` and ``ScoringMonitor`` tell the process that fits, over a socket in its file system, what happens in
others. In a container and on another machine there is no such file, and the first message would end the fit. There the
messages are dropped, and the process that submitted the task is told so with its result. The callbacks themselves are
called as anywhere: they may still stop a training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ffnn._utils._private import drop_if_unreachable, is_callback_address
from ffnn.parallel.output import warn

__all__ = ["reduced", "with_word"]

_dropped: set[str] = set()  # on a worker: the sockets of the task that were not there
_warned: set[str] = set()  # where tasks are submitted: those whose loss was told


def reduced(thing: Any) -> tuple[Callable[..., Any], tuple[Any, ...]] | None:
    """Return how the address of such a socket is pickled; None for all else."""
    return (_arrive, (type(thing), tuple(thing))) if is_callback_address(thing) else None


def _arrive(kind: Callable[..., Any], parts: tuple[str, bytes]) -> Any:
    """Return the address on a worker, where what is sent to it is dropped if nobody is there."""
    handle = kind(*parts)
    if drop_if_unreachable(handle, _drop):
        _dropped.add(handle.address)
    return handle


def _drop(message: Any) -> None:
    pass


def with_word(result: Any) -> Any:
    """Return a task's result, so that a warning comes with it if messages of the task's callbacks were dropped."""
    if not _dropped:
        return result
    addresses = tuple(_dropped)
    _dropped.clear()
    return _Told(result, addresses)


class _Told:
    """A result that is unpickled as itself, and warns then."""

    def __init__(self, result: Any, addresses: tuple[str, ...]) -> None:
        self._parts = result, addresses

    def __reduce__(self) -> Any:
        return _tell, self._parts


def _tell(result: Any, addresses: tuple[str, ...]) -> Any:
    if not _warned.issuperset(addresses):
        _warned.update(addresses)
        warn(
            "The callbacks of scikit-learn report over a Unix socket of this machine, which a worker in a container or "
            "on another machine cannot reach: what they report there (ProgressBar, ScoringMonitor) is dropped. The "
            "fits are not affected. To see the progress of a search, use ffnn.pool(..., progress=True).",
            UserWarning,
        )
    return result
