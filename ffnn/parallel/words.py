"""Numbers with their nouns and units, for messages."""

from __future__ import annotations

__all__ = ["plural", "size_in_words"]


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 worker``, ``2 workers``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def size_in_words(n_bytes: float) -> str:
    """Return a number of bytes in a suitable unit: ``45.8 MB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            break
        n_bytes /= 1000
    return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
