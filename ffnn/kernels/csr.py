"""Sparse rows, and the copy of some of them into a batch: the Python side of ``sparse_adam_gather.h``."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

from ffnn.model import Array

__all__ = ["CSR", "check_array", "check_arrays", "check_whole", "gather", "lengths_of"]


@dataclass(frozen=True)
class CSR:
    """Sparse rows, in any order of their columns.

    Parameters
    ----------
    splits : int32 ndarray of shape (n_rows + 1,)
        The start of each row's entries, and the end of the last row's.
    columns : int32 ndarray of shape (n_stored,)
        The column of each stored entry.
    values : float32 ndarray of shape (n_stored,)
        The value of each stored entry.
    """

    splits: Array
    columns: Array
    values: Array


class _Gather(ctypes.Structure):
    """Kept in step with ``struct gather`` in C."""

    _fields_ = (
        *[(name, ctypes.c_int64) for name in ("n_rows", "n_from", "n_stored", "n_features")],
        *[(name, ctypes.c_void_p) for name in ("rows", "from_splits", "from_columns", "from_values")],
        *[(name, ctypes.c_void_p) for name in ("splits", "columns", "values", "scratch")],
        ("bits", ctypes.c_int32),
    )


def check_array(name: str, array: Array, dtype: Any, shape: tuple[int, ...]) -> None:
    """Refuse an array that a kernel would misread.

    Raises
    ------
    ValueError
        If its dtype or shape differs, or it is not in C order.
    """
    if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
        order = "" if array.flags.c_contiguous else ", not in C order"
        raise ValueError(
            f"{name}: expected {np.dtype(dtype)} of shape {shape} in C order, got {array.dtype} of shape {array.shape}"
            f"{order}. Use numpy.ascontiguousarray({name}, dtype='{np.dtype(dtype)}')."
        )


def check_arrays(x: CSR) -> None:
    """Refuse rows whose arrays have the wrong dtypes or lengths; their values are not checked."""
    check_array("splits", x.splits, np.int32, (max(x.splits.size, 1),))
    check_array("columns", x.columns, np.int32, (x.columns.size,))
    check_array("values", x.values, np.float32, (x.columns.size,))


def check_whole(x: CSR, n_rows: int) -> None:
    """Refuse a wrong number of rows, and ``splits`` that point outside the entries."""
    check_arrays(x)
    falls = bool((x.splits[1:] < x.splits[:-1]).any())
    if len(x.splits) != n_rows + 1 or falls or x.splits[0] < 0 or x.splits[-1] > len(x.columns):
        raise ValueError(
            f"splits: expected {n_rows + 1} numbers that never fall, from 0 to {len(x.columns)}; got "
            f"{len(x.splits)}, from {x.splits.min()} to {x.splits.max()}."
        )


def lengths_of(x: CSR, rows: Array) -> Array:
    """Return the number of entries of each of some rows; refuse rows outside ``x`` and impossible lengths."""
    n_rows = len(x.splits) - 1
    if len(rows) and not 0 <= rows.min() <= rows.max() < n_rows:
        raise ValueError(f"rows: expected numbers from 0 to {n_rows - 1}, got {rows.min()} to {rows.max()}.")
    lengths = np.subtract(x.splits[rows + 1], x.splits[rows], dtype=np.int64)
    if lengths.min(initial=0) < 0 or lengths.sum() >= 2**31:
        raise ValueError(
            f"splits: expected rows of 0 entries or more and less than 2**31 in a batch; got one of {lengths.min()} "
            f"and {lengths.sum()} in all. Use smaller batches."
        )
    return np.asarray(lengths)


def gather(library: ctypes.CDLL, x: CSR, rows: Array, to: CSR, n_features: int) -> None:
    """Copy rows, each sorted by columns.

    Raises
    ------
    ValueError
        If a row is outside ``x``, or a column is outside the features.
    """
    bits = -(-int(n_features - 1).bit_length() // 2)
    counts = np.empty(2 << bits, np.int32)
    scratch = np.empty(int(np.diff(to.splits).max(initial=0)), np.int64)
    argument = _Gather(
        *(len(rows), len(x.splits) - 1, len(x.columns), n_features),
        *[a.ctypes.data for a in (rows, x.splits, x.columns, x.values, to.splits, to.columns, to.values, scratch)],
        bits,
    )
    if library.ffnn_gather(ctypes.byref(argument), ctypes.c_void_p(counts.ctypes.data)):
        raise ValueError(
            f"x has a row whose entries are not within its {len(x.columns)} stored ones, or columns that are not from "
            f"0 to {n_features - 1}."
        )
