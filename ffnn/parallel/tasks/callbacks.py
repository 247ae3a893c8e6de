"""Messages of scikit-learn's callbacks from workers that cannot reach the socket for them.

``ProgressBar`` and ``ScoringMonitor`` in other processes report to the process that called ``fit``, over a Unix socket
in its file system. In a container or on another machine there is no such file, and the first message would end the
fit. There the messages are dropped, and the task's result brings a warning to the process that submitted it. The
callbacks themselves are called as usual and may still stop the training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ffnn.parallel.output import warn

__all__ = ["attach_warning", "reduce_address"]

_dropped: set[str] = set()  # on a worker: the addresses whose messages the current task has dropped
_warned: set[str] = set()  # in the submitting process: the addresses already warned about


def reduce_address(thing: Any) -> tuple[Callable[..., Any], tuple[Any, ...]] | None:
    """Return the reduction of a socket's address for pickle; None for other objects."""
    if not type(thing).__module__.startswith("sklearn."):  # most objects; workers may never import scikit-learn
        return None
    from ffnn._utils._private import is_callback_address

    return (_restore, (type(thing), tuple(thing))) if is_callback_address(thing) else None


def _restore(kind: Callable[..., Any], parts: tuple[str, bytes]) -> Any:
    """Rebuild the address on a worker; messages to it are dropped there if the socket cannot be reached."""
    from ffnn._utils._private import drop_if_unreachable

    handle = kind(*parts)
    if drop_if_unreachable(handle, _drop):
        _dropped.add(handle.address)
    return handle


def _drop(message: Any) -> None:
    pass


def attach_warning(result: Any) -> Any:
    """Return a task's result, wrapped so that unpickling it warns if messages of callbacks were dropped."""
    if not _dropped:
        return result
    addresses = tuple(_dropped)
    _dropped.clear()
    return _ResultWithWarning(result, addresses)


class _ResultWithWarning:
    """Unpickles as the result that it wraps, after a warning."""

    def __init__(self, result: Any, addresses: tuple[str, ...]) -> None:
        self._parts = result, addresses

    def __reduce__(self) -> Any:
        return _warn_once, self._parts


def _warn_once(result: Any, addresses: tuple[str, ...]) -> Any:
    if not _warned.issuperset(addresses):
        _warned.update(addresses)
        warn(
            "The callbacks of scikit-learn report over a Unix socket of this machine, which a worker in a container or "
            "on another machine cannot reach: what they report there (ProgressBar, ScoringMonitor) is dropped. The "
            "fits are not affected. To see the progress of a search, use ffnn.pool(..., progress=True).",
            UserWarning,
        )
    return result
