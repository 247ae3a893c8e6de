"""Devices, on a machine whose CPU is made to count as two; in processes of their own, for an engine starts once."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ffnn import KerasBuilder, MLPClassifier

ROOT = Path(__file__).parents[2]
X, Y = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]

TENSORFLOW = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
def device_of(weight): return weight.device.lower().rpartition("device:")[2]
"""
JAX = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
def device_of(weight): return f"cpu:{next(iter(weight.devices())).id}"
"""
FITS = """
import pickle, sys, threading
import numpy as np
from sklearn.datasets import load_iris
from ffnn import MLPClassifier
X, y = load_iris(return_X_y=True)
found = {}

def fit(device):
    estimator = MLPClassifier((5,), n_epochs=10, builder=builder, device=device, dropout=0.3, random_state=0).fit(X, y)
    found[device] = estimator, estimator._current_model()._variables.weights

for device in (None, "cpu", "cpu:1"):
    thread = threading.Thread(target=fit, args=(device,))
    thread.start(), thread.join()
print(*({device_of(w) for w in found[device][1]} for device in ("cpu", "cpu:1")))
scores = [estimator.decision_function(X) for estimator, _ in found.values()]
print(all((s == scores[0]).all() for s in scores))
moved = pickle.loads(pickle.dumps(found["cpu:1"][0])).set_params(device="cpu").partial_fit(X, y)
print({device_of(w) for w in moved._current_model()._variables.weights}, moved.n_iter_)
before = moved.predict_proba(X)
try:
    moved.set_params(device="gpu:3").fit(X, y)
except ValueError as error:
    print(error)
print((moved.set_params(device="cpu:1").predict_proba(X) == before).all())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("builders", "engine"),
    [(["tf", "keras"], "tensorflow"), (["keras"], "jax")],
    ids=["tensorflow", "jax"],
)
def test_a_fit_is_on_the_device_that_is_named(builders, engine):
    if importlib.util.find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed: python -m pip install {engine}")
    code = (JAX if engine == "jax" else TENSORFLOW) + "".join(f"\nbuilder = {name!r}{FITS}" for name in builders)
    environment = {**os.environ, "KERAS_BACKEND": engine, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "{'cpu:0'} {'cpu:1'}",
        "True",
        "{'cpu:0'} 11",
        "device='gpu:3': expected one of cpu:0, cpu:1, which the engine has on this machine; or None, which leaves the "
        "choice to it.",
        "True",
    ] * len(builders), done.stderr[-2000:]


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"device": "cuda:0"}, ValueError, "device='cuda:0': expected 'cpu', 'gpu', one with its number such as"),
        ({"device": 0}, TypeError, "device=0: expected 'cpu', .* got int"),
        ({"builder": KerasBuilder(device="GPU")}, ValueError, "KerasBuilder.device='GPU': expected 'cpu'"),
    ],
)
def test_what_is_no_device_is_refused(parameters, error, message):
    with pytest.raises(error, match=message):
        MLPClassifier(**parameters).fit(X, Y)
