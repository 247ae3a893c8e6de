"""Memory that NumPy, TensorFlow and compiled kernels share without a copy.

TensorFlow uses an array's memory for a tensor if its address is a multiple of 64. It never writes to such memory:
operations that change a variable in place copy it first. A kernel may write to a variable's memory while TensorFlow has
no other reference to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ffnn._utils.threads import ThreadedChunks
from ffnn.model import Array

__all__ = ["StagingBuffer", "filled_variable", "memory_of", "tensor_of", "variable_of", "view_of"]

_ALIGNMENT = 64


def tensor_of(array: Array) -> Any:
    """Return an array as a tensor, which may share its memory: the array must not change while the tensor is in use.

    ``tf.constant`` would copy it, usually twice.
    """
    return tf.raw_ops.Identity(input=array)


class StagingBuffer:
    """Memory into which arrays are copied that TensorFlow cannot use in place, one after the other.

    TensorFlow would allocate new memory for each array, which costs more than the copy.

    Parameters
    ----------
    chunks : ThreadedChunks
        The threads that copy.
    """

    def __init__(self, chunks: ThreadedChunks) -> None:
        self._chunks = chunks
        self._array: Array | None = None

    def tensor_of(self, array: Array) -> Any:
        """Return an array as a tensor that is valid until the next call."""
        if not array.ctypes.data % _ALIGNMENT or tf.config.list_logical_devices("GPU"):  # a GPU may copy it later
            return tensor_of(array)
        if self._array is None or self._array.dtype != array.dtype or self._array.size < array.size:
            self._array = _aligned(np.empty, (array.size,), array.dtype)
        copy = self._array[: array.size].reshape(array.shape)
        self._chunks.over(np.copyto, copy, array)
        return tensor_of(copy)


def variable_of(array: Array, dtype: str) -> Any:
    """Return a variable whose initial value is a copy of an array."""
    copy = _aligned(np.empty, array.shape, np.dtype(dtype))
    copy[...] = array
    return tf.Variable(tensor_of(copy))


def filled_variable(shape: Sequence[int], dtype: str, value: float) -> Any:
    """Return a variable filled with one value.

    Zeros take no memory until they are written to, and most rows of a very large weight may never be.
    """
    array = _aligned(np.zeros, tuple(shape), np.dtype(dtype))
    if value:
        array[...] = value
    return tf.Variable(tensor_of(array), trainable=False)


def view_of(tensor: Any) -> Array:
    """Return a tensor's memory, on the host, as an array."""
    return np.asarray(memoryview(tensor))


def memory_of(variable: Any) -> Array:
    """Return a variable's memory for a kernel to write to; drop the array before TensorFlow changes the variable.

    Raises
    ------
    RuntimeError
        If TensorFlow returns a copy, as it does after some rows of the variable have been assigned.
    """
    view = view_of(variable.value())
    if view.ctypes.data != view_of(variable.value()).ctypes.data:
        raise RuntimeError(
            "TensorFlow copies the first weights whenever they are read, so the kernel cannot update them in place. "
            "Set input_layer=SparseInput(batches='dense'), and report this with the version of TensorFlow."
        )
    return view


def _aligned(make: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    n_bytes = int(np.prod(shape)) * dtype.itemsize
    buffer = make(n_bytes + _ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % _ALIGNMENT
    return np.asarray(buffer[start : start + n_bytes].view(dtype).reshape(shape))
