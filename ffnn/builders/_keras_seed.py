"""Python's own random numbers, from which Keras draws the seeds that it was not given."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["python_random"]

_lock = threading.RLock()


@contextmanager
def python_random(seed: int) -> Iterator[None]:
    """Let the layers that are made inside draw their seeds from ``seed``, and leave Python's stream as it was."""
    with _lock:
        state = random.getstate()
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(state)
