"""TensorFlow's one-time work in a process, done while Python prepares the first fit."""

from __future__ import annotations

import functools
import threading

import tensorflow as tf

__all__ = ["warm_up"]


@functools.cache
def warm_up() -> None:
    """Start a thread that makes TensorFlow prepare its matrix products.

    Its CPU kernels write their machine code when a matrix is multiplied for the first time, which takes as long as some
    epochs of a small network. Meanwhile Python can describe and trace the network.
    """
    threading.Thread(target=_multiply, name="ffnn-warm-up").start()


def _multiply() -> None:
    if not tf.config.list_logical_devices("GPU"):
        x = tf.zeros((64, 64))
        tf.linalg.matmul(x, x)
