"""The effects of a first fit on its process."""

from __future__ import annotations

import subprocess
import sys

import pytest

# TensorFlow's products are made ready once a process, in a thread that soon ends
WARM_UP = """
import sys, threading
from ffnn import MLPClassifier
started = []
start = threading.Thread.start
threading.Thread.start = lambda self: (started.append(self), start(self))
for _ in range(2):
    MLPClassifier((4,), n_epochs=2, builder="tf").fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
(thread,) = (thread for thread in started if thread.name == "ffnn-warm-up")
thread.join(60)
assert not thread.is_alive()
"""

# TensorFlow comes without Keras until somebody asks for it
WITHOUT_KERAS = """
import tensorflow as tf
assert "keras" not in sys.modules
assert not [finder for finder in sys.meta_path if type(finder).__module__.startswith("ffnn")]
from tensorflow.keras.layers import Dense
import keras
assert issubclass(tf.keras.Model, keras.Model) and Dense is keras.layers.Dense is tf.keras.layers.Dense
"""


@pytest.mark.slow
def test_a_process_warms_up_once_and_has_no_keras_until_somebody_asks_for_it():
    command = [sys.executable, "-c", WARM_UP + WITHOUT_KERAS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
