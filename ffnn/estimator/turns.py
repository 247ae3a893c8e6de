"""One training at a time for each estimator, whatever the number of threads."""

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


# not attributes of the estimators, which are copied, pickled and cloned
_turns: dict[int, _Turn] = {}
_guard = threading.Lock()


def _forget() -> None:
    """Begin anew: in the child of a fork, nobody would give back what other threads held."""
    global _guard
    _guard = threading.Lock()
    _turns.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def one_at_a_time(estimator: Any) -> Iterator[None]:
    """Wait until no other thread trains the estimator, and keep others from it meanwhile.

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
