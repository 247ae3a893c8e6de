"""A bounded cache for traced programs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["BoundedCache"]

T = TypeVar("T")


class BoundedCache(Generic[T]):
    """Keeps the values that were used last.

    Parameters
    ----------
    size : int
        The number of values kept.
    free : callable, optional
        Called after values have been dropped, to free what dropping them does not. As that takes a while, half of the
        values are then dropped at a time.
    """

    def __init__(self, size: int, free: Callable[[], None] | None = None) -> None:
        self._size = size
        self._free = free
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of a key; make it first if it is missing."""
        with self._lock:
            if key not in self._values:
                self._values[key] = make()
            self._values.move_to_end(key)
            value = self._values[key]
            drops = len(self._values) > self._size
            while drops and len(self._values) > (self._size if self._free is None else self._size // 2):
                self._values.popitem(last=False)
        if drops and self._free is not None:
            self._free()
        return value
