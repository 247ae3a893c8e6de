"""Cosine annealing, shared by several schedules."""

from __future__ import annotations

import numpy as np

from ffnn.model import Array

__all__ = ["anneal"]


def anneal(start: float, end: float, share: Array) -> Array:
    """Return the rates along half a cosine from ``start`` (share 0) to ``end`` (share 1)."""
    return np.asarray(end + (start - end) * (1 + np.cos(np.pi * share)) / 2)
