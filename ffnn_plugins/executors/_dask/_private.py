"""distributed's private names that ffnn uses."""

from __future__ import annotations

from typing import Any

__all__ = ["is_asynchronous"]


def is_asynchronous(client: Any) -> bool:
    """Return whether a client was made for use inside its event loop.

    ``distributed.Client._asynchronous``; without it the public ``asynchronous``, which depends on the calling thread.
    """
    return bool(getattr(client, "_asynchronous", client.asynchronous))
