"""The memory layout of arrays in C: matrices are stored in panels of columns, padded with zeros; see ``real.h``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ffnn.model import Array

__all__ = ["packed", "packed_like", "pieces", "unpacked"]

#: Arrays begin at multiples of this number of bytes, so that no vector crosses a cache line.
_ALIGNMENT = 64
#: The number of rows of a piece.
_ROWS = 4096


def packed_like(shape: tuple[int, ...], dtype: str, panel: int, value: float = 0.0) -> Array:
    """Return an array for a matrix or a vector of a shape, filled with one value."""
    n_panels = -(-shape[-1] // panel)
    size = n_panels * panel * (shape[0] if len(shape) == 2 else 1)
    n_bytes = size * np.dtype(dtype).itemsize
    memory: np.ndarray[Any, Any] = np.zeros(n_bytes + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    array = memory[start : start + n_bytes].view(dtype)
    if value:
        array[:] = value
    return array.reshape((n_panels, shape[0], panel) if len(shape) == 2 else (n_panels * panel,))


def packed(array: Array, dtype: str, panel: int, into: Array | None = None) -> Array:
    """Return a matrix or a vector in panels, written to ``into`` if it is given."""
    result = packed_like(array.shape, dtype, panel) if into is None else into
    if array.ndim == 1:
        result[: len(array)] = array
        return result
    for p, rows in enumerate(result):
        columns = array[:, p * panel : (p + 1) * panel]
        rows[:, : columns.shape[1]] = columns
    return result


def unpacked(array: Array, shape: tuple[int, ...]) -> Array:
    """Return a copy of a matrix or a vector of this shape from its panels."""
    if len(shape) == 1:
        return array[: shape[0]].copy()
    rows = np.swapaxes(array, 0, 1).reshape(shape[0], -1)[:, : shape[1]]
    return np.array(rows, order="C")


def pieces(array: Array, shape: tuple[int, ...]) -> Iterator[Array]:
    """Yield views that cover a matrix or a vector of this shape, in panels or not, without the padding of panels."""
    if len(shape) == 1:
        yield array[: shape[0]]
        return
    panels = array if array.ndim == 3 else array[np.newaxis]
    for p, panel in enumerate(panels):
        width = shape[1] - p * panel.shape[1]
        yield from (panel[start : start + _ROWS, :width] for start in range(0, shape[0], _ROWS))
