"""On wide sparse data, where rows of the weights wait for their steps, looking at them changes nothing."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse

from ffnn import SGD, Adam, AdamW, MLPClassifier, RMSprop
from ffnn.schedules import Cosine
from ffnn_plugins.inputs.sparse import SparseInput
from tests.support.estimators import model_of, state_of

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X = scipy.sparse.random(200, 900, density=0.004, format="csr", random_state=0, dtype=np.float32)
Y = RNG.integers(0, 2, 200)
N_EPOCHS = 4

CASES = {
    "fused": ({}, "KernelRunner"),
    "fused, of 150 units": ({"hidden_units": (150,)}, "KernelRunner"),
    "fused, with decay": ({"solver": AdamW(), "weight_decay": 0.3, "learning_rate": Cosine(0.02)}, "KernelRunner"),
    "fused, with strong decay": ({"solver": AdamW(), "weight_decay": 8.0, "learning_rate": 0.05}, "KernelRunner"),
    "fused, with dropout": ({"dropout": 0.3, "builder": "keras"}, "KernelRunner"),
    "native": ({"builder": "native"}, None),
    "native, with decay": ({"builder": "native", "solver": AdamW(), "weight_decay": 0.3}, None),
    "stored, Adam": ({"dtype": "float64"}, "GraphRunner"),
    "stored, with decay": ({"dtype": "float64", "solver": AdamW(), "weight_decay": 0.3}, "GraphRunner"),
    "stored, SGD": ({"solver": SGD()}, "GraphRunner"),
    "stored, RMSprop": ({"solver": RMSprop(), "builder": "keras"}, "GraphRunner"),
}


def model(name):
    kwargs = {"hidden_units": (8,), "builder": "tf", "dtype": "float32", "learning_rate": 0.01} | CASES[name][0]
    layer = SparseInput("stored")
    return MLPClassifier(batch_size=8, n_epochs=N_EPOCHS, input_layer=layer, random_state=0, **kwargs)


def assert_equal(one, other):
    mine, theirs = state_of(one), state_of(other)
    assert one.loss_curve_ == other.loss_curve_
    for name, array in (mine.weights | mine.slots).items():
        np.testing.assert_array_equal((theirs.weights | theirs.slots)[name], array, err_msg=name)


@pytest.mark.parametrize("name", CASES)
def test_a_fit_is_its_epochs_one_by_one_whoever_looks_on(name):
    quiet = model(name).fit(X, Y)
    assert model_of(quiet).describe().get("runner") == CASES[name][1]

    def look(epoch, estimator, stats):
        if epoch != 1:
            estimator.predict(X[:20])

    watched = model(name).fit(X, Y, monitor=look, X_val=X[:50], y_val=Y[:50])
    one_by_one, resumed = model(name), model(name)
    for _ in range(N_EPOCHS):
        one_by_one.partial_fit(X, Y, classes=[0, 1])
        resumed = pickle.loads(pickle.dumps(resumed.partial_fit(X, Y, classes=[0, 1])))
    for other in (watched, one_by_one, resumed):
        assert_equal(quiet, other)


@pytest.mark.parametrize("solver", [Adam(), AdamW(), SGD(momentum=0.95)], ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_long_wait_ends_where_a_dense_batch_would(solver, dtype):
    """Longer than a step is felt, while the step size changes."""
    one, other = (
        MLPClassifier(
            (8,), batch_size=1, n_epochs=3, solver=solver, input_layer=SparseInput(batches), random_state=0,
            dtype=dtype, learning_rate=Cosine(1e-2), weight_decay=0.1 if solver.decoupled else 0.0,
        ).fit(X, Y)
        for batches in ("dense", "stored")
    )  # fmt: skip
    for name, array in (state_of(one).weights | state_of(one).slots).items():
        np.testing.assert_allclose((state_of(other).weights | state_of(other).slots)[name], array, atol=2e-5)


def test_rows_that_are_settled_now_and_then_end_the_same(monkeypatch):
    whole = model("fused").fit(X, Y)
    monkeypatch.setattr("ffnn.lazy_rows._MOST_SEGMENTS", 2)
    assert_equal(whole, model("fused").fit(X, Y))
