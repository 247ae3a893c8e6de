"""Checks that the indices of a sparse matrix are within its shape.

SciPy and scikit-learn accept matrices with indices out of bounds, with which compiled code would read or write memory
outside the matrix.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from ffnn._utils.threads import LARGE, ThreadedChunks
from ffnn.model import Array

__all__ = ["checked_sparse", "first_outside"]


_COMPRESSED = ("csr", "csc", "bsr")


def checked_sparse(name: str, matrix: Any) -> Any:
    """Return a sparse matrix after checking that its indices are within its shape; return anything else unchanged.

    The indices are read once. Unused capacity at the end of the arrays is removed, and formats without index arrays are
    converted to CSR; other matrices are not copied.

    Parameters
    ----------
    name : str
        Its name in errors, such as ``"X"``.
    matrix : object
        The user's argument.

    Raises
    ------
    ValueError
        If an index is out of bounds, or the arrays are inconsistent.
    """
    if not scipy.sparse.issparse(matrix) or matrix.ndim != 2:
        return matrix
    if matrix.format == "coo":
        for axis, indices in (("row", matrix.row), ("column", matrix.col)):
            _check_integers(name, matrix, axis, indices)
            _check_indices(name, matrix, axis, indices, matrix.shape[axis == "column"])
        if not len(matrix.row) == len(matrix.col) == len(matrix.data):
            raise _error(
                name, matrix, f"{len(matrix.row)} rows, {len(matrix.col)} columns and {len(matrix.data)} values"
            )
        return matrix
    if matrix.format not in _COMPRESSED:
        return checked_sparse(name, matrix.tocsr())
    n_stored = _check_pointers(name, matrix)
    axis = "row" if matrix.format == "csc" else "column"
    n_minor = matrix.shape[axis == "column"] // (matrix.blocksize[1] if matrix.format == "bsr" else 1)
    indices = matrix.indices[:n_stored]
    _check_indices(name, matrix, "column of blocks" if matrix.format == "bsr" else axis, indices, n_minor)
    if n_stored == len(matrix.indices):
        return matrix
    return type(matrix)((matrix.data[:n_stored], indices, matrix.indptr), shape=matrix.shape)


def first_outside(indices: Array, n: int) -> int | None:
    """Return the position of the first index outside [0, n), or None if there is none."""
    if not len(indices):
        return None
    # viewed as unsigned, negative numbers exceed any size, so that one pass finds both
    unsigned = indices.view(f"u{indices.dtype.itemsize}")
    if _largest(unsigned) < n:
        return None
    return int(np.argmax(unsigned >= n))


def _largest(array: Array) -> int:
    if array.nbytes < LARGE:
        return int(array.max())
    with ThreadedChunks() as passes:
        return int(max(passes.over(np.max, array)))


def _check_pointers(name: str, matrix: Any) -> int:
    """Check ``indptr`` and the lengths of the arrays; return the number of stored entries."""
    pointers, indices, data = matrix.indptr, matrix.indices, matrix.data
    _check_integers(name, matrix, "indptr", pointers)
    _check_integers(name, matrix, "indices", indices)
    n_major = matrix.shape[matrix.format == "csc"] // (matrix.blocksize[0] if matrix.format == "bsr" else 1)
    if len(pointers) != n_major + 1:
        raise _error(name, matrix, f"an indptr of {len(pointers)} entries, where {n_major + 1} belong")
    if len(indices) != len(data):
        raise _error(name, matrix, f"{len(indices)} indices for {len(data)} values")
    if pointers[0] != 0:
        raise _error(name, matrix, f"an indptr that begins with {pointers[0]}, where 0 belongs")
    falls = pointers[1:] < pointers[:-1]
    if falls.any():
        k = int(np.argmax(falls))
        raise _error(name, matrix, f"an indptr that falls, from {pointers[k]} to {pointers[k + 1]} at {k + 1}")
    if pointers[-1] > len(indices):
        raise _error(name, matrix, f"an indptr that ends with {pointers[-1]}, beyond its {len(indices)} indices")
    return int(pointers[-1])


def _check_integers(name: str, matrix: Any, what: str, array: Array) -> None:
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise _error(
            name, matrix, f"{what} of dtype {array.dtype} and {array.ndim} axes, where integers in one axis belong"
        )


def _check_indices(name: str, matrix: Any, axis: str, indices: Array, n: int) -> None:
    place = first_outside(indices, n)
    if place is not None:
        raise _error(
            name, matrix, f"the {axis} index {indices[place]} at entry {place}, where there are {n}, counted from 0"
        )


def _error(name: str, matrix: Any, found: str) -> ValueError:
    return ValueError(
        f"{name} is a malformed sparse matrix, {matrix.format.upper()} of shape {matrix.shape}: it has {found}. Build "
        f"it again with the shape that its indices need; {name}.check_format() of SciPy finds such faults, too."
    )
