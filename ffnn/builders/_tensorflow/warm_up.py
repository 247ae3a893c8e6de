"""Does TensorFlow's one-time work in a process while Python prepares the first fit."""

from __future__ import annotations

import functools
import threading

import tensorflow as tf

__all__ = ["warm_up"]


@functools.cache
def warm_up() -> None:
    """Start a thread that makes TensorFlow prepare its matrix products.

    Its CPU kernels generate machine code at the first matrix product, which takes as long as a few epochs of a small
    network. Python can describe and trace the network at the same time.
    """
    threading.Thread(target=_multiply, name="ffnn-warm-up").start()


def _multiply() -> None:
    if not tf.config.list_logical_devices("GPU"):
        x = tf.zeros((64, 64))
        tf.linalg.matmul(x, x)
