"""A lock for each estimator in training, so that threads train it one at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["one_at_a_time"]


class _Turn:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.thread: int | None = None
        self.n_users = 0


# kept outside of the estimators, which are copied, pickled and cloned
_turns: dict[int, _Turn] = {}
_guard = threading.Lock()


def _forget() -> None:
    """Start without locks in a forked child, where those of other threads would never be released."""
    global _guard
    _guard = threading.Lock()
    _turns.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def one_at_a_time(estimator: Any) -> Iterator[None]:
    """Hold the estimator's lock: only one thread trains it at a time.

    Raises
    ------
    RuntimeError
        If this thread trains it already, as when a monitor calls ``fit``.
    """
    key, thread = id(estimator), threading.get_ident()
    with _guard:
        turn = _turns.setdefault(key, _Turn())
        if turn.thread == thread:
            raise RuntimeError(
                f"This {type(estimator).__name__} is being trained: fit and partial_fit cannot be called from its own "
                "monitor, scorer or callback. Train sklearn.base.clone(estimator) there, or wait until fit returns."
            )
        turn.n_users += 1
    try:
        with turn.lock:
            turn.thread = thread
            try:
                yield
            finally:
                turn.thread = None
    finally:
        with _guard:
            turn.n_users -= 1
            if not turn.n_users:
                _turns.pop(key, None)
