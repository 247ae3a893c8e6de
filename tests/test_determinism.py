"""The same random_state gives the same bits, whatever else runs, and no generator but the estimator's is touched."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from unittest.mock import Mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from ffnn import MLPClassifier
from ffnn.builders._tensorflow.data.padding import padded_plan

ROOT = Path(__file__).parents[1]
COMPILED = 150  # epochs from which XLA is expected to be worth its compiling here
X, Y = load_digits(return_X_y=True)
FRESH = """
import sys
from sklearn.datasets import load_digits
from ffnn import MLPClassifier
X, y = load_digits(return_X_y=True)
builder, n_fits, n_epochs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
parameters = {"hidden_units": (32,), "n_epochs": n_epochs, "dropout": 0.3, "dtype": "float32", "random_state": 7}
for _ in range(n_fits):
    estimator = MLPClassifier(**parameters, builder=builder).fit(X, y)
    print(estimator.decision_function(X).tobytes().hex())
"""


def fresh_scores(builder, n_fits=1, n_epochs=2, **variables):
    """Return the scores of some fits in a process of their own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-c", FRESH, builder, str(n_fits), str(n_epochs)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [bytes.fromhex(line) for line in done.stdout.splitlines()]


def scores(builder, random_state=7, n_epochs=2):
    parameters = {"hidden_units": (32,), "n_epochs": n_epochs, "dropout": 0.3, "dtype": "float32", "builder": builder}
    return MLPClassifier(**parameters, random_state=random_state).fit(X, Y).decision_function(X)


@pytest.mark.parametrize(("builder", "n_epochs"), [("tf", 2), ("keras", 2), ("tf", COMPILED)])
def test_the_same_bits_again_beside_another_fit_and_in_a_fresh_process(builder, n_epochs, monkeypatch):
    watch = Mock(side_effect=padded_plan)
    monkeypatch.setattr("ffnn.builders._tensorflow.epoch.graph_runner.padded_plan", watch)
    expected = scores(builder, n_epochs=n_epochs)
    assert watch.called == (n_epochs == COMPILED)
    np.testing.assert_array_equal(scores(builder, n_epochs=n_epochs), expected)
    assert not np.array_equal(scores(builder, random_state=8, n_epochs=n_epochs), expected)

    found = []
    threads = [threading.Thread(target=lambda: found.append(scores(builder, n_epochs=n_epochs))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    for other in found:
        np.testing.assert_array_equal(other, expected)

    (fresh,) = fresh_scores(builder, n_epochs=n_epochs)
    np.testing.assert_array_equal(np.frombuffer(fresh, dtype=np.float32).reshape(expected.shape), expected)


@pytest.mark.slow
@pytest.mark.parametrize("builder", ["tf", "keras"])
def test_tensorflows_deterministic_mode_takes_a_fit(builder):
    """The mode refuses draws without a seed; its kernels may give other last digits than those outside of it."""
    first, again = fresh_scores(builder, n_fits=2, TF_DETERMINISTIC_OPS="1")
    assert first == again


@pytest.mark.parametrize("builder", ["tf", "keras"])
def test_a_fit_touches_no_global_generator(builder):
    def draws():
        tensors = (tf.random.uniform((3,)), tf.random.get_global_generator().uniform((3,)), keras.random.uniform((3,)))
        return [random.random(), np.random.rand(), *(np.asarray(t).tolist() for t in tensors)]

    def seed():
        keras.utils.set_random_seed(3)  # Python's, NumPy's, TensorFlow's and Keras's
        tf.random.get_global_generator().reset_from_seed(3)

    states = random.getstate(), np.random.get_state(), tf.random.get_global_generator().state.numpy()
    try:
        seed()
        expected = draws()
        seed()
        scores(builder)
        assert draws() == expected
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        tf.random.get_global_generator().state.assign(states[2])
