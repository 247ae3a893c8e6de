"""Sparse rows, and how some of them are copied into a batch: what ``sparse_adam_gather.h`` does, from Python."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from ffnn.model import Array

__all__ = ["CSR", "gather"]


@dataclass(frozen=True)
class CSR:
    """Sparse rows, in any order of their columns.

    Parameters
    ----------
    splits : int32 ndarray of shape (n_rows + 1,)
        Where each row's entries begin, and where the last row's end.
    columns : int32 ndarray of shape (n_stored,)
        The column of each stored entry.
    values : float32 ndarray of shape (n_stored,)
        Its value.
    """

    splits: Array
    columns: Array
    values: Array


class _Gather(ctypes.Structure):
    """Kept in step with ``struct gather`` in C."""

    _fields_ = (
        ("n_rows", ctypes.c_int64),
        *[(name, ctypes.c_void_p) for name in ("rows", "from_splits", "from_columns", "from_values")],
        *[(name, ctypes.c_void_p) for name in ("splits", "columns", "values", "room")],
        ("bits", ctypes.c_int32),
    )


def gather(library: ctypes.CDLL, x: CSR, rows: Array, to: CSR, n_features: int) -> None:
    """Copy rows, each in the order of its columns."""
    bits = -(-int(n_features - 1).bit_length() // 2)
    counts = np.empty(2 << bits, np.int32)
    room = np.empty(int(np.diff(to.splits).max(initial=0)), np.int64)
    argument = _Gather(
        len(rows),
        *[a.ctypes.data for a in (rows, x.splits, x.columns, x.values, to.splits, to.columns, to.values, room)],
        bits,
    )
    library.ffnn_gather(ctypes.byref(argument), ctypes.c_void_p(counts.ctypes.data))
