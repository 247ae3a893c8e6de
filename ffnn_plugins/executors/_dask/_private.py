"""distributed's private names that ffnn uses."""

from __future__ import annotations

from typing import Any

__all__ = ["is_asynchronous"]


def is_asynchronous(client: Any) -> bool:
    """Return whether a client is for use inside of its own event loop.

    ``distributed.Client._asynchronous`` is what its maker asked for. Without it, the public ``asynchronous`` answers,
    which depends on the thread that asks.
    """
    return bool(getattr(client, "_asynchronous", client.asynchronous))
