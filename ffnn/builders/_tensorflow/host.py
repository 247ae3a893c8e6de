"""The number of threads for ffnn's kernels in a process that uses TensorFlow."""

from __future__ import annotations

import os

import joblib
import tensorflow as tf

__all__ = ["n_threads"]


def n_threads() -> int:
    """Return the number of threads that TensorFlow's operations may use."""
    set_to = tf.config.threading.get_intra_op_parallelism_threads()
    return int(set_to or os.environ.get("TF_NUM_INTRAOP_THREADS", 0) or joblib.cpu_count())
