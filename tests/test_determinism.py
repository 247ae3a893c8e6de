"""The same random_state gives the same bits, whatever else runs, and no generator but the estimator's is touched."""

from __future__ import annotations

import json
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
X, Y = load_digits(return_X_y=True)
FRESH = """
import json, sys
from sklearn.datasets import load_digits
from ffnn import MLPClassifier
X, y = load_digits(return_X_y=True)
parameters = {"hidden_units": (32,), "n_epochs": 2, "dropout": 0.3, "dtype": "float32", "random_state": 7}
for builder, compiled_by_xla in json.loads(sys.argv[1]):
    if compiled_by_xla:
        from ffnn.builders._tensorflow.epoch import compiling
        compiling.WORTH = 0
    estimator = MLPClassifier(**parameters, builder=builder).fit(X, y)
    print(estimator.decision_function(X).tobytes().hex())
"""
CASES = [("tf", False), ("keras", False), ("tf", True)]  # and whether XLA compiles


def fresh_scores(cases, **variables):
    """Return the scores of some fits in a process of their own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-c", FRESH, json.dumps(cases)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [bytes.fromhex(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def fresh():
    return dict(zip(CASES, fresh_scores(CASES), strict=True))


def scores(builder, random_state=7):
    parameters = {"hidden_units": (32,), "n_epochs": 2, "dropout": 0.3, "dtype": "float32", "builder": builder}
    return MLPClassifier(**parameters, random_state=random_state).fit(X, Y).decision_function(X)


@pytest.mark.slow
@pytest.mark.parametrize(("builder", "compiled_by_xla"), CASES)
def test_the_same_bits_again_beside_another_fit_and_in_a_fresh_process(builder, compiled_by_xla, fresh, monkeypatch):
    if compiled_by_xla:
        monkeypatch.setattr("ffnn.builders._tensorflow.epoch.compiling.WORTH", 0)
    watch = Mock(side_effect=padded_plan)
    monkeypatch.setattr("ffnn.builders._tensorflow.epoch.graph_runner.padded_plan", watch)
    expected = scores(builder)
    assert watch.called == compiled_by_xla
    np.testing.assert_array_equal(scores(builder), expected)
    assert not np.array_equal(scores(builder, random_state=8), expected)

    found = []
    threads = [threading.Thread(target=lambda: found.append(scores(builder))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    for other in found:
        np.testing.assert_array_equal(other, expected)

    elsewhere = np.frombuffer(fresh[builder, compiled_by_xla], dtype=np.float32)
    np.testing.assert_array_equal(elsewhere.reshape(expected.shape), expected)


@pytest.mark.slow
def test_tensorflows_deterministic_mode_takes_a_fit():
    """The mode refuses draws without a seed; its kernels may give other last digits than those outside of it."""
    cases = [(builder, False) for builder in ("tf", "keras") for _ in range(2)]
    scores = fresh_scores(cases, TF_DETERMINISTIC_OPS="1")
    assert scores[0] == scores[1]
    assert scores[2] == scores[3]


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
