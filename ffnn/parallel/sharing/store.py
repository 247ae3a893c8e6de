"""Stores of what has been computed: each piece once, whoever needs it, and no more than fits.

All who need a piece at the same time wait for the one that computes it. If that one fails or dies, the next takes its
place. A piece that must not be shared is noted, so that nobody waits for it again.
"""

from __future__ import annotations

import abc
import contextlib
import time
from collections.abc import Callable
from typing import Any

__all__ = ["LEAST_SIZE", "Store"]

LEAST_SIZE = 1 << 12
"""The bytes that a value counts, however small it is."""


class Store(abc.ABC):
    """Keeps pickled values by name, up to a number of bytes; those that were used last stay.

    Parameters
    ----------
    limit : int
        The most bytes that are kept.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def get(self, name: str, make: Callable[[], tuple[Any, bool]]) -> tuple[Any, bool]:
        """Return a value, computed if the store lacks it, and whether others may share it.

        Parameters
        ----------
        name : str
            The name of the value, after its content.
        make : callable
            Computes the value; returns it, and whether it may be shared.
        """
        found = self._find(name)
        if found is None:
            with self._alone(name):
                found = self._find(name) or self._fetch(name)
                if found is None:
                    return self._compute(name, make)
        return found if found[1] else (make()[0], False)

    def _compute(self, name: str, make: Callable[[], tuple[Any, bool]]) -> tuple[Any, bool]:
        start, kept = time.perf_counter(), False
        try:
            value, shareable = make()
            kept = self._keep(name, value, shareable)
        finally:
            self._offer(name, time.perf_counter() - start if kept else 0.0)
        return value, kept

    def _fetch(self, name: str) -> tuple[Any, bool] | None:
        """Get a value from elsewhere and return as :meth:`_find` does; by default there is nothing elsewhere."""
        return None

    def _offer(self, name: str, seconds: float) -> None:  # noqa: B027 - optional
        """Offer a value elsewhere that took so many seconds to compute; 0 if it is not kept."""

    @abc.abstractmethod
    def _find(self, name: str) -> tuple[Any, bool] | None:
        """Return a copy of a value and True; None and False if it is not shared; None if the store lacks it."""

    @abc.abstractmethod
    def _keep(self, name: str, value: Any, shareable: bool) -> bool:
        """Store a value or the note that it is not shared, drop what was used least recently; return if it is kept."""

    @abc.abstractmethod
    def _alone(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Return a lock for a value, so that one thread or process at a time computes it."""
