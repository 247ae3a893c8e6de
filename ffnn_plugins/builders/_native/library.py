"""The compiled libraries, one for each dtype, and the structures that they are called with."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Any

import numpy as np

from ffnn import kernels
from ffnn.model import Array

__all__ = ["Data", "Library", "Loss", "Network", "Plan", "Solver", "Stage", "Weight", "address", "is_there"]

_INTEGER, _NUMBER, _POINTER = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p


def _fields(kind: Any, names: str) -> list[tuple[str, Any]]:
    return [(name, kind) for name in names.split()]


class Weight(ctypes.Structure):
    """Kept in step with ``struct weight`` in C."""

    _fields_ = (*_fields(_POINTER, "value slot_0 slot_1 gradient"), ("decays", _INTEGER))


class Stage(ctypes.Structure):
    """Kept in step with ``struct stage`` in C."""

    _fields_ = (
        *_fields(_INTEGER, "kind function n_inputs n_outputs n_random"),
        *_fields(_NUMBER, "factor bias_rate"),
        *_fields(Weight, "weight bias"),
    )


class Loss(ctypes.Structure):
    """Kept in step with ``struct loss`` in C."""

    _fields_ = (
        *_fields(_INTEGER, "kind n_outputs focal weighted"),
        *_fields(_NUMBER, "gamma smoothing quantile"),
    )


class Solver(ctypes.Structure):
    """Kept in step with ``struct solver`` in C."""

    _fields_ = (("kind", _INTEGER), *_fields(_NUMBER, "momentum mean_rest square_rest epsilon"))


class Network(ctypes.Structure):
    """Kept in step with ``struct network`` in C."""

    _fields_ = (
        *_fields(_INTEGER, "n_stages n_features"),
        ("stages", ctypes.POINTER(Stage)),
        ("loss", Loss),
        ("solver", Solver),
    )


class Data(ctypes.Structure):
    """Kept in step with ``struct data`` in C, the ``struct truth`` at its end."""

    _fields_ = (
        ("x", _POINTER),
        *_fields(_INTEGER, "row_stride column_stride"),
        *_fields(_POINTER, "splits columns values"),
        ("wide", _INTEGER),
        *_fields(_POINTER, "products gradients"),
        ("targets", _POINTER),
        ("n_targets", _INTEGER),
        *_fields(_POINTER, "weight rows"),
        ("first", _INTEGER),
    )


class Plan(ctypes.Structure):
    """Kept in step with ``struct plan`` in C."""

    _fields_ = (
        ("order", _POINTER),
        *_fields(_INTEGER, "n_rows batch_size n_batches"),
        *_fields(_POINTER, "step_sizes learning_rates seeds"),
        *_fields(_NUMBER, "decay shrink clip_norm clip_value"),
    )


class Library:
    """The library of a dtype.

    Parameters
    ----------
    library : ctypes.CDLL
        The loaded library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.ffnn_panel.restype = _INTEGER
        #: The number of columns of a panel; see ``real.h``.
        self.panel = int(library.ffnn_panel())
        #: What it was compiled for.
        self.instructions = kernels.level_name(library)

    @classmethod
    def of(cls, dtype: str) -> Library:
        """Return the library of a dtype."""
        library = _load(dtype)
        assert library is not None  # the builder has asked whether it is there
        return library

    def train(
        self, network: Network, data: Data, plan: Plan, n_threads: int, before: tuple[float, float] = (0.0, 0.0)
    ) -> tuple[float, float]:
        """Train an epoch; return the sum of the losses and their total weight, added to those of the steps before."""
        result = (_NUMBER * 2)(*before)
        references = (ctypes.byref(network), ctypes.byref(data), ctypes.byref(plan))
        self._check(self._library.ffnn_train(*references, _INTEGER(n_threads), result))
        return result[0], result[1]

    def add_gradient(self, network: Network, data: Data, n_rows: int) -> tuple[float, float]:
        """Add the gradient of the sum of all losses to the saved one; return that sum and the total weight."""
        result = (_NUMBER * 2)()
        references = (ctypes.byref(network), ctypes.byref(data))
        self._check(self._library.ffnn_gradient(*references, _INTEGER(n_rows), result))
        return result[0], result[1]

    def forward(self, network: Network, data: Data, end: int, n_stages: int, values: Array) -> None:
        """Write the values of the rows from ``data.first`` to ``end`` after some stages."""
        arguments = (ctypes.byref(network), ctypes.byref(data), _INTEGER(end), _INTEGER(n_stages))
        self._check(self._library.ffnn_forward(*arguments, address(values)))

    def input_gradients(self, network: Network, data: Data, end: int, values: Array) -> None:
        """Write the gradients of the scores of these rows with respect to X."""
        arguments = (ctypes.byref(network), ctypes.byref(data), _INTEGER(end))
        self._check(self._library.ffnn_input_gradients(*arguments, address(values)))

    def drop(self, splits: Array, columns: Array, values: Array, n_features: int, rate: float, seed: Array) -> None:
        """Multiply stored entries by what dropout, as the first random stage, multiplies them by in a dense batch."""
        pointers = [address(array) for array in (splits, columns, values)]
        numbers = (_INTEGER(len(splits) - 1), _INTEGER(n_features), _NUMBER(rate))
        self._library.ffnn_drop(*pointers, *numbers, address(seed), _INTEGER(0))

    @staticmethod
    def _check(done: int) -> None:
        if not done:
            raise MemoryError("builder='native': no memory for a batch. Use a smaller batch_size.")


@functools.cache
def _load(dtype: str) -> Library | None:
    library = kernels.load(dtype, Path(__file__).parent)
    return None if library is None else Library(library)


def is_there() -> bool:
    """Return whether there are libraries for this processor."""
    return all(_load(dtype) is not None for dtype in ("float32", "float64"))


def address(array: np.ndarray[Any, Any]) -> ctypes.c_void_p:
    """Return the address of an array, which the caller must keep alive."""
    return ctypes.c_void_p(array.ctypes.data)
