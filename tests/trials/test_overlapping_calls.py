"""Calls of joblib that overlap on one pool, and data that change in place between their tasks."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import joblib
import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV

import ffnn
from ffnn.parallel.pool import Pool
from ffnn.parallel.tasks import blobs
from tests.support.dask_cluster import Authority, Cluster

pytestmark = [pytest.mark.timeout(180), pytest.mark.filterwarnings("ignore:.*tasks which were still:UserWarning")]

N = 40_000  # values: more than 256 KiB, so that they travel once


@pytest.fixture(scope="module", params=["multiprocessing", pytest.param("dask", marks=pytest.mark.slow)])
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    if request.param == "dask":
        cluster: Cluster = request.getfixturevalue("two_slots")
        authority: Authority = request.getfixturevalue("dask_authority")
        options: dict[str, Any] = {"address": cluster.address, "security": authority.security()}
    else:
        options = {"n_workers": 2}
    with ffnn.pool(request.param, **options) as pool:
        yield pool


def total(X: Any, seconds: float = 0.0) -> float:
    time.sleep(seconds)
    return sum(map(len, X)) if isinstance(X, list) else float(X.sum())


def slow_generator(X: Any, n: int = 40) -> Any:
    return Parallel(return_as="generator")(delayed(total)(X, 0.05) for _ in range(n))


def double_array(X: Any) -> None:
    X *= 2


def double_text(X: Any) -> None:
    X[:] = [text * 2 for text in X]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("X", "double"),
    [
        (np.ones(N), double_array),
        (np.ones((N, 2))[:, 0], double_array),
        (["a" * 100] * 4000, double_text),
    ],
    ids=["array", "strided array", "text"],
)
def test_a_call_beside_an_unused_generator_gets_the_data_of_now(
    pool: Pool, X: Any, double: Callable[[Any], None]
) -> None:
    before = total(X)
    generator = slow_generator(X)
    assert next(generator) == before
    double(X)
    assert Parallel()(delayed(total)(X) for _ in range(3)) == [2 * before] * 3
    assert pool.submit(total, X).result() == 2 * before
    generator.close()


def test_what_a_generator_submits_after_a_change_is_of_after_it(pool: Pool) -> None:
    X = np.ones(N)
    generator = slow_generator(X)
    assert next(generator) == N
    X *= 2  # too early for what is under way, but not for what is submitted later
    assert list(generator)[-1] == 2 * N


def test_a_call_beside_another_threads_gets_the_data_of_now(pool: Pool) -> None:
    X = np.ones(N)
    began, results, stores = threading.Event(), [], set()

    def calls() -> Iterator[Any]:
        for index in range(60):
            if index == 20:
                began.set()
            yield delayed(total)(X, 0.02)

    def work() -> None:
        with joblib.parallel_config("ffnn", executor=pool):  # as the docs say
            stores.update(Parallel()(delayed(os.getenv)("FFNN_STORE") for _ in range(20)))
            results.extend(Parallel()(calls()))

    thread = threading.Thread(target=work)
    thread.start()
    assert began.wait(60)
    X *= 2
    found = Parallel()(delayed(total)(X) for _ in range(3))
    assert thread.is_alive(), "the calls did not overlap: the test shows nothing"
    thread.join()
    assert found == [2 * N] * 3
    assert len(results) == 60
    assert None not in stores, "the thread did not use the pool"


def test_buffers_that_are_filled_again_are_sent_again(pool: Pool) -> None:
    free: queue.Queue[Any] = queue.Queue()
    n_buffers = 60  # more than joblib looks ahead
    for _ in range(n_buffers):
        free.put(np.empty(N))

    def calls() -> Iterator[Any]:
        for index in range(2 * n_buffers):
            buffer = free.get(timeout=60)
            buffer[:] = index
            used.append(buffer)
            yield delayed(total)(buffer)

    used: list[Any] = []
    found = []
    for index, result in enumerate(Parallel(return_as="generator")(calls())):
        found.append(result)
        free.put(used[index])
    assert found == [index * N for index in range(2 * n_buffers)]


def test_a_generator_that_is_dropped_leaves_other_calls_alone(pool: Pool) -> None:
    first, second = slow_generator(np.ones(N)), slow_generator(np.full(N, 2.0), 10)
    assert next(first) == N
    del first
    assert list(second) == [2 * N] * 10


class SlowClassifier(DummyClassifier):
    """A classifier whose fits are long enough that one is always under way when the next is submitted."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SlowClassifier:
        time.sleep(0.3)
        super().fit(X, y, sample_weight)
        return self


@pytest.mark.slow
def test_a_search_hashes_its_data_once(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []
    name = blobs._name

    def counting(data: Any) -> str:
        hashed.append(memoryview(data).nbytes)
        return name(data)

    monkeypatch.setattr(blobs, "_name", counting)
    X, y = np.zeros((N, 2)), np.arange(N) % 2
    for _ in range(2):
        hashed.clear()
        search = GridSearchCV(SlowClassifier(), {"random_state": list(range(4))}, cv=3, refit=False).fit(X, y)
        assert search.n_splits_ == 3
        assert sorted(hashed).count(X.nbytes) == 1
        X += 1
