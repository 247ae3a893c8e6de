"""Detects engines that cannot be used after a fork.

The threads of an engine stay in the parent, so a child would wait for them forever. An engine that was only imported
survives. Therefore each process records the engines that have run, and a forked child refuses to use them.
"""

from __future__ import annotations

import os
import sys

from ffnn.exceptions import ForkedEngineError

__all__ = ["check_not_forked", "note_running"]

_running: set[str] = set()
_lost: set[str] = set()


def note_running(engine: str) -> None:
    """Record that an engine runs in this process."""
    _running.add(engine)


def check_not_forked(engine: str | None = None) -> None:
    """Raise an error if an engine, by default any, ran before this process was forked from another one.

    Raises
    ------
    ForkedEngineError
        If so; the message gives ways to start processes that work.
    """
    lost = _lost if engine is None else _lost & {engine}
    if lost:
        raise ForkedEngineError(
            f"This process was forked from one in which {' and '.join(sorted(lost))} had run, and cannot use it: the "
            "engine's threads stayed there. Start processes by joblib's default backend (loky), ffnn.pool() or "
            "multiprocessing.get_context('spawn'); or fork before anything is fitted or predicted."
        )


def _note_fork() -> None:
    if _tensorflow_has_run():  # other code may have used it
        _running.add("tensorflow")
    _lost.update(_running)
    _running.clear()


def _tensorflow_has_run() -> bool:
    """Return whether TensorFlow is running, which starts with its first operation or listing of devices."""
    context = getattr(sys.modules.get("tensorflow.python.eager.context"), "_context", None)
    return getattr(context, "_context_handle", None) is not None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
