"""The names of fits and transforms: digests of what is computed, of which parameters and data."""

from __future__ import annotations

import threading
from typing import Any

from ffnn.parallel.content.digest import Digests

__all__ = ["name_of"]


class _OfThread(threading.local):
    """The digests of a thread, with those of the modules that it has come across."""

    def __init__(self) -> None:
        self.digests = Digests()


_of_thread = _OfThread()


def name_of(thing: Any) -> str | None:
    """Return the name of an object after its content, equal in all processes; None if it has no content to name.

    Every attribute counts, unlike in a journal's keys: what is shared has the parameters that its user has set. And no
    digest of data is kept: the data of each candidate are a copy of its own, and read once.
    """
    if _of_thread.digests.code.edited_files():
        _of_thread.digests = Digests()
    try:
        return _of_thread.digests.digest(thing).hex()
    except Exception:  # a user's __reduce__ may raise anything
        return None
