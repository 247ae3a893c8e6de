"""Many fits in one process: side by side in threads, and one after the other without growing."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
import scipy.sparse
import tensorflow as tf
from sklearn.base import clone
from sklearn.datasets import load_digits

from ffnn import MLPClassifier
from tests.conftest import BUILDERS
from tests.support.estimators import state_of

pytestmark = pytest.mark.slow

X, Y = load_digits(return_X_y=True)
X = X / 16


class CountedRelu:
    """An activation that counts how often an engine runs its Python, which is when it traces."""

    calls = 0

    def __call__(self, x):
        type(self).calls += 1
        return tf.nn.relu(x)


def classifier(**parameters):
    return MLPClassifier(**{"hidden_units": (32,), "n_epochs": 2, "dropout": 0.2, "random_state": 0} | parameters)


def test_threads_fit_as_each_alone(builder):
    estimators = [
        classifier(builder=builder, random_state=seed, dropout=dropout)
        for seed, dropout in [(0, 0.2), (1, 0.2), (2, 0.5), (3, 0.5)]
    ]
    alone = [clone(estimator).fit(X, Y).predict_proba(X) for estimator in estimators]
    start = threading.Barrier(4)

    def fit(estimator):
        start.wait()
        return estimator.fit(X, Y).predict_proba(X)

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(fit, estimators))
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(alone[0], alone[1])


def test_threads_predict_with_one_estimator(builder):
    estimator = classifier(builder=builder).fit(X, Y)
    expected = estimator.predict_proba(X)
    with ThreadPoolExecutor(4) as threads:
        for probabilities in threads.map(lambda _: estimator.predict_proba(X), range(8)):
            np.testing.assert_array_equal(probabilities, expected)


@pytest.mark.parametrize("builder", BUILDERS)  # what is traced is the engine's
def test_fits_of_a_shape_add_no_memory_and_trace_nothing_new(builder):
    process = psutil.Process()
    activation = CountedRelu()
    CountedRelu.calls = 0

    def fit(i):
        # folds of a search differ in their number of rows, candidates in their rates and batches
        rows = slice(0, 1200 + i)
        estimator = classifier(
            builder=builder, activation=activation, dropout=0.1 + i / 100, learning_rate=1e-3 + i / 1e5,
            weight_decay=1e-4 + i / 1e5, batch_size=64 + i, random_state=i,
        )  # fmt: skip
        estimator.fit(X[rows], Y[rows]).predict(X[:300])

    for i in range(5):
        fit(i)
    gc.collect()
    traced, memory = CountedRelu.calls, process.memory_info().rss
    assert traced > 0
    for i in range(5, 50):
        fit(i)
    gc.collect()
    assert process.memory_info().rss - memory < 50e6
    assert CountedRelu.calls == traced


@pytest.mark.parametrize("n_copies", [12])
def test_a_fitted_estimator_keeps_no_data(n_copies, builder):
    wide = np.random.default_rng(0).random((400, 5000), dtype=np.float32)
    y = np.arange(400) % 2
    estimators = [classifier(hidden_units=(1,), n_epochs=1, builder=builder).fit(wide, y) for _ in range(2)]
    gc.collect()
    before = psutil.Process().memory_info().rss
    estimators += [classifier(hidden_units=(1,), n_epochs=1, builder=builder).fit(wide, y) for _ in range(n_copies)]
    gc.collect()
    kept = psutil.Process().memory_info().rss - before
    assert len(estimators) == n_copies + 2
    assert kept < n_copies * wide.nbytes / 2


def test_going_on_takes_one_copy_of_the_network(builder):
    few = scipy.sparse.random(64, 20_000, 0.01, format="csr", dtype=np.float32, random_state=0)
    estimator = classifier(builder=builder, hidden_units=(64,)).fit(few, Y[:64])
    state = state_of(estimator)
    n_bytes = sum(array.nbytes for part in (state.weights, state.slots) for array in part.values())
    assert n_bytes > 12e6
    estimator.partial_fit(few, Y[:64])
    tracemalloc.start()
    estimator.partial_fit(few, Y[:64])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.95 * n_bytes < most < 1.25 * n_bytes  # a third of it is the largest array
