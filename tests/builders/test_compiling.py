"""Epochs compiled by XLA, and data that comes a piece at a time, are the epochs that they would be otherwise."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
from sklearn.datasets import load_digits

from ffnn import MLPClassifier, MLPRegressor
from ffnn.builders._tensorflow.data.padding import padded, padded_plan, padded_size
from ffnn.builders._tensorflow.epoch.compiling import is_worth_compiling
from ffnn.builders.keras import KerasBuilder

pytestmark = pytest.mark.slow

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)[:500]
Y = Y[:500]


@pytest.fixture
def compiled(monkeypatch):
    """Everything is worth compiling; returns the shapes that were."""
    monkeypatch.setattr("ffnn.builders._tensorflow.epoch.compiling.WORTH", 0.0)
    shapes = set()

    def watched(plan, filling, arguments):
        whole = padded_plan(plan, filling, arguments)
        shapes.add((whole["order"].shape[0], whole["step_sizes"].shape[0]))
        return whole

    monkeypatch.setattr("ffnn.builders._tensorflow.epoch.graph_runner.padded_plan", watched)
    return shapes


def fit(n_rows=500, make=MLPClassifier, **kwargs):
    kwargs = {"hidden_units": (16,), "n_epochs": 3, "builder": "tf", "dtype": "float64", "random_state": 0, **kwargs}
    return make(**kwargs).fit(X[:n_rows], Y[:n_rows])


CASES = [
    {"block": ("batch_norm", "affine", "activation")},
    {},
    {"solver": "sgd", "weight_decay": 0.01},
    {"block": ("affine", "layer_norm", "prelu")},
    {"make": MLPRegressor, "output_layer": "regression"},
]


@pytest.mark.parametrize(
    ("builder", "kwargs"),
    [("tf", case) for case in CASES] + [("keras", case) for case in CASES[:2]],
    ids=str,
)
def test_a_compiled_fit_is_the_other_one(builder, kwargs, compiled, monkeypatch):
    one = fit(builder=builder, **kwargs)
    assert len(compiled) == 1
    monkeypatch.setattr("ffnn.builders._tensorflow.epoch.compiling.WORTH", np.inf)
    other = fit(builder=builder, **kwargs)
    assert len(compiled) == 1
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(one.predict(X), other.predict(X), atol=1e-6)


def test_folds_of_nearly_the_same_size_share_a_program(compiled):
    for n_rows in (451, 452, 470, 500):
        fit(n_rows=n_rows)
    assert len(compiled) == 1
    fit(n_rows=300)
    assert len(compiled) == 2


def test_parts_of_a_training_are_compiled_as_the_whole(compiled):
    whole = fit(dropout=0.3)
    parts = MLPClassifier((16,), n_epochs=3, builder="tf", dtype="float64", random_state=0, dropout=0.3)
    for _ in range(3):
        parts.partial_fit(X, Y, classes=np.unique(Y))
    assert compiled
    np.testing.assert_array_equal(parts.coefs_[0], whole.coefs_[0])


def test_what_xla_cannot_compile_is_not_compiled(compiled):
    def odd(x):
        return tf.numpy_function(np.maximum, [x, 0.0], tf.float64) * 0 + tf.nn.relu(x)

    fitted = fit(activation=odd)
    assert compiled  # it was tried
    np.testing.assert_allclose(fitted.loss_curve_, fit(activation="relu").loss_curve_, rtol=1e-9)


def test_a_model_of_the_users_own_meets_no_row_that_is_not_the_users(compiled):
    def build(network):
        norm = [keras.layers.Dense(8, "relu"), keras.layers.BatchNormalization(), keras.layers.Dense(network.n_outputs)]
        return keras.Sequential([keras.Input((network.n_features,)), *norm])

    fit(builder=KerasBuilder(build), dtype="float32")
    assert not compiled


@pytest.mark.parametrize(
    ("n_rows", "n_epochs", "units", "expected"),
    [
        (150, 10, 256, False),
        (1797, 50, 100, False),
        (1797, 250, 100, True),
        (1797, 50, 1024, True),
        (200, 9999, 9, True),
    ],
)
def test_what_is_planned_decides(n_rows, n_epochs, units, expected):
    plan = SimpleNamespace(n_batches=-(-n_rows // 64), batch_size=64, horizon=n_epochs)
    weights = {"a": SimpleNamespace(shape=(64, units)), "b": SimpleNamespace(shape=(units, 10))}
    network = SimpleNamespace(input=SimpleNamespace(sparse=False), trained=weights)
    assert is_worth_compiling(network, plan) == expected
    network.input.sparse = True
    assert not is_worth_compiling(network, plan)


def test_data_that_comes_in_parts_is_compiled_once(compiled, monkeypatch):
    whole = fit(dropout=0.3)
    assert len(compiled) == 1
    monkeypatch.setattr("ffnn.builders._tensorflow.data.training_data.RESIDENT", 0)
    monkeypatch.setattr(
        "ffnn.builders._tensorflow.data.training_data.PIECE", 2**16
    )  # 128 rows, and 116 in the last part
    parts = fit(dropout=0.3)
    assert compiled - {max(compiled)} == {(128, 2)}
    np.testing.assert_allclose(parts.loss_curve_, whole.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(parts.coefs_[0], whole.coefs_[0], atol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 7, 8, 63, 64, 500, 1797])
def test_filled_arrays_have_a_row_more_and_few_lengths(n):
    array = np.arange(2.0 * n).reshape(n, 2)
    longer = padded(array, padded_size(n))
    np.testing.assert_array_equal(longer[:n], array)
    assert n < len(longer) <= max(1.25 * (n + 1), n + 2)
    assert not longer[n:].any()
    few = {padded_size(m) for m in range(n, 2 * n)}
    assert len(few) <= 6


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_matrix], ids=["dense", "sparse"])
def test_pieces_are_the_whole(form, solver, monkeypatch):
    whole = MLPClassifier((16,), n_epochs=2, builder="tf", random_state=0, solver=solver).fit(form(X), Y)
    scores = whole.predict_proba(form(X))
    monkeypatch.setattr("ffnn.builders._tensorflow.data.training_data.RESIDENT", 0)
    monkeypatch.setattr("ffnn.builders._tensorflow.data.training_data.PIECE", 2**14)
    pieces = MLPClassifier((16,), n_epochs=2, builder="tf", random_state=0, solver=solver).fit(form(X), Y)
    np.testing.assert_allclose(pieces.loss_curve_, whole.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(pieces.predict_proba(form(X)), scores, atol=1e-4)
    if solver == "adam":  # the same batches: the same bits
        np.testing.assert_array_equal(pieces.coefs_[0], whole.coefs_[0])


MAPPED = """
import numpy as np, sys
from ffnn import MLPClassifier

def anonymous():  # what is not the pages of a file
    fields = dict(line.split(":") for line in open("/proc/self/status") if ":" in line)
    return int(fields["RssAnon"].split()[0]) / 1024

X = np.memmap(sys.argv[1], np.float32, "r", shape=(300_000, 256))
y = np.arange(300_000) % 2
MLPClassifier((4,), n_epochs=1, builder="tf", batch_size=256, random_state=0).fit(X[:2000], y[:2000]).predict(X[:2000])
before, most = anonymous(), []
fitted = MLPClassifier((4,), n_epochs=1, builder="tf", batch_size=1024, random_state=0)
fitted.fit(X, y, monitor=lambda *_: most.append(anonymous()))
fitted.predict(X)
most.append(anonymous())
print(max(most) - before)
"""


def test_a_mapped_x_is_not_copied(tmp_path):
    path = tmp_path / "x.bin"
    data = np.memmap(path, np.float32, "w+", shape=(300_000, 256))
    data[:] = np.random.default_rng(0).random((1, 256), dtype=np.float32)
    data.flush()
    done = subprocess.run([sys.executable, "-c", MAPPED, path], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 100, "MB, where X has 307"
