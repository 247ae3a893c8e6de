"""The product of sparse rows with a weight: the Python side of ``sparse_products.c``."""

from __future__ import annotations

import ctypes

import numpy as np

from ffnn.kernels import load
from ffnn.kernels.csr import CSR, check_array, check_whole
from ffnn.kernels.threads import Threads
from ffnn.model import Array

__all__ = ["is_there", "multiply"]


#: The rows of a group, as in C.
_GROUP = 64


class _Products(ctypes.Structure):
    """Kept in step with ``struct products`` in C."""

    _fields_ = (
        *[(name, ctypes.c_int64) for name in ("n_rows", "n_features", "n_units")],
        *[(name, ctypes.c_void_p) for name in ("splits", "columns", "values", "weight", "products")],
        *[(name, ctypes.c_int32) for name in ("lane", "outside")],
    )


def is_there() -> bool:
    """Return whether there is a library for this processor."""
    return load("sparse_products") is not None


def multiply(x: CSR, weight: Array, products: Array, n_threads: int) -> None:
    """Write the product of sparse rows with a weight; each row of it depends on one row of ``x`` only.

    Parameters
    ----------
    x : CSR
        The rows.
    weight : float32 ndarray of shape (n_features, n_units)
        The weight.
    products : float32 ndarray of shape (n_rows, n_units)
        The array to write to; in C order, like the others.
    n_threads : int
        The largest number of threads.

    Raises
    ------
    ValueError
        If an array has another dtype or shape, or a column is outside the features.
    """
    library = load("sparse_products")
    assert library is not None  # callers check is_there()
    check_array("weight", weight, np.float32, (len(weight), products.shape[1]))
    check_array("products", products, np.float32, products.shape)
    check_whole(x, len(products))
    arrays = (x.splits, x.columns, x.values, weight, products)
    argument = _Products(len(products), *weight.shape, *[array.ctypes.data for array in arrays])
    with Threads(max(1, min(n_threads, -(-len(products) // _GROUP)))) as threads:
        threads.run(library.ffnn_products, argument)
    if argument.outside:
        raise ValueError(f"x has columns that are not from 0 to {len(weight) - 1}, the rows of the weight.")
