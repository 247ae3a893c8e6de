from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, cross_val_predict

import ffnn
from ffnn.exceptions import PluginLoadError, TaskPicklingError, TaskTimeoutError, WorkerDiedError
from ffnn.parallel.backend import FfnnBackend
from ffnn.parallel.pool import Pool
from ffnn.testing._tasks import gone

pytestmark = pytest.mark.timeout(180)

X = np.arange(40.0).reshape(20, 2)
Y = np.arange(20) % 2


class Candidate(ClassifierMixin, BaseEstimator):  # type: ignore[misc,unused-ignore]
    """Does, when fitted, what its parameter says."""

    def __init__(self, does: str = "fit", folder: str = "") -> None:
        self.does = does
        self.folder = folder

    def fit(self, X: Any, y: Any) -> Candidate:
        if self.does == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.does == "hang":
            time.sleep(300)
        if self.does == "raise":
            raise ZeroDivisionError("in fit")
        if self.folder:
            time.sleep(0.5)
            Path(self.folder, f"{time.time_ns()}").touch()
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X), int)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with ffnn.pool(n_workers=2, max_retries=1, task_timeout=3) as pool:
        yield pool


def search(*does: str, **options: Any) -> GridSearchCV:
    one_split = [(np.arange(10), np.arange(10, 20))]
    return GridSearchCV(Candidate(), {"does": list(does)}, cv=one_split, refit=False, **options)


def test_n_jobs_says_only_whether_to_use_the_executor() -> None:
    backend = FfnnBackend(n_workers=3)
    assert backend.effective_n_jobs(1) == 1
    many = {backend.effective_n_jobs(n_jobs) for n_jobs in (None, -1, 2, 50)}
    assert len(many) == 1
    assert many.pop() >= 3
    with pytest.raises(ValueError, match="n_jobs must not be 0"):
        backend.effective_n_jobs(0)


@pytest.mark.slow
def test_failures_become_the_error_score(pool: Pool) -> None:
    retries = pool.n_retries
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = search("fit", "die", "raise", scoring=["accuracy", "f1"], return_train_score=True).fit(X, Y)
    for name in ("mean_test_accuracy", "mean_test_f1", "mean_train_accuracy"):
        assert np.isnan(found.cv_results_[name]).tolist() == [False, True, True]
    message = str(next(w.message for w in caught if w.category is FitFailedWarning))
    for part in ("2 fits failed out of a total of 3", "WorkerDiedError", "SIGKILL", "ZeroDivisionError: in fit"):
        assert part in message
    assert pool.n_retries - retries == 1


def test_failures_are_raised_if_asked_for(pool: Pool) -> None:
    with pytest.raises(TaskTimeoutError, match="_fit_and_score: it took longer than task_timeout=3 seconds"):
        search("hang", error_score="raise").fit(X, Y)


def save(model: Candidate, path: Path) -> str:
    if getattr(model, "does", None) == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    path.write_bytes(pickle.dumps(model))
    return "saved"


@pytest.mark.slow
def test_a_function_of_ones_own_never_gets_a_stand_in(pool: Pool, tmp_path: Path) -> None:
    path = tmp_path / "model"
    assert joblib.Parallel()([joblib.delayed(save)(Candidate(), path)]) == ["saved"]
    path.unlink()
    with pytest.raises(WorkerDiedError, match="SIGKILL"):
        joblib.Parallel()([joblib.delayed(save)(Candidate("die"), path)])
    assert not path.exists()
    with pytest.raises(WorkerDiedError, match="SIGKILL"):
        cross_val_predict(Candidate("die"), X, Y, cv=2)


@pytest.mark.slow
def test_an_exception_stops_the_search(pool: Pool, tmp_path: Path) -> None:
    grid = [{"does": ["raise"]}, {"folder": [str(tmp_path)] * 20}]
    start = time.monotonic()
    with pytest.raises(ZeroDivisionError, match="in fit"):
        GridSearchCV(Candidate(), grid, cv=2, error_score="raise").fit(X, Y)
    assert time.monotonic() - start < 20
    time.sleep(1)
    assert len(list(tmp_path.iterdir())) <= pool.n_workers
    assert pool.submit(abs, -1).result(60) == 1


def test_results_are_in_order_and_generators_work(pool: Pool) -> None:
    calls = [joblib.delayed(pow)(i, 2) for i in range(50)]
    assert joblib.Parallel()(calls) == [i**2 for i in range(50)]
    assert list(joblib.Parallel(return_as="generator")(calls)) == [i**2 for i in range(50)]
    assert sorted(joblib.Parallel(return_as="generator_unordered")(calls)) == [i**2 for i in range(50)]
    assert joblib.Parallel(batch_size=7)(calls) == [i**2 for i in range(50)]


def test_joblibs_own_timeout_works(pool: Pool) -> None:
    with pytest.raises(multiprocessing.TimeoutError):
        joblib.Parallel(timeout=0.5)(joblib.delayed(time.sleep)(4) for _ in range(4))
    assert joblib.Parallel()(joblib.delayed(abs)(-i) for i in range(4)) == [0, 1, 2, 3]


def test_nested_parallelism_is_sequential(pool: Pool) -> None:
    def nested(n_jobs: int) -> set[int]:
        return set(joblib.Parallel(n_jobs=n_jobs)(joblib.delayed(os.getpid)() for _ in range(4)))

    for found in joblib.Parallel()(joblib.delayed(nested)(n_jobs) for n_jobs in (-1, 4)):
        assert len(found) == 1
        assert os.getpid() not in found


def test_what_cannot_be_pickled_ends_the_call(pool: Pool) -> None:
    calls = [joblib.delayed(abs)(-1)] * 10 + [joblib.delayed(len)(x for x in "abc")]
    with pytest.raises(TaskPicklingError, match="generator"):
        joblib.Parallel()(calls)


def test_a_parallel_of_its_own_may_name_the_backend() -> None:
    found = set(joblib.Parallel(n_jobs=2, backend="ffnn")(joblib.delayed(os.getpid)() for _ in range(4)))
    assert os.getpid() not in found
    for pid in found:  # the workers end with the Parallel that was theirs
        until = time.monotonic() + 10
        while not gone(pid):
            assert time.monotonic() < until
            time.sleep(0.02)


def test_a_plugin_that_is_no_executor_is_named(install: Callable[..., Path]) -> None:
    install(
        "stranger",
        "it = stranger_plugin",
        stranger_plugin="""
from ffnn.plugins import hookimpl

@hookimpl
def ffnn_executors():
    return {"strange": "stranger_plugin:Strange"}

class Strange: ...
""",
    )
    with pytest.raises(PluginLoadError, match="executor='strange' is stranger_plugin.Strange, which is no"):
        FfnnBackend("strange")
