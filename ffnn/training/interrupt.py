"""Ctrl-C during a fit: the epoch under way is finished first, so that the estimator is left with whole epochs."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

__all__ = ["deferred_interrupt"]


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Hold the first Ctrl-C back; yield a function that says whether there was one. The second acts at once.

    Only the main thread gets signals, so it does nothing in others, nor where somebody handles SIGINT already.
    """
    came = False
    ordinary = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or ordinary is not signal.default_int_handler:
        yield lambda: False
        return

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nCtrl-C: finishing this epoch; press it again to give it up.", file=sys.stderr, flush=True)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGINT, ordinary)
