"""What listeners are told of the results of a pool."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.tree import DecisionTreeClassifier

import ffnn
from ffnn.callbacks import ResultListener
from ffnn.parallel import results

pytestmark = [
    pytest.mark.timeout(110),
    pytest.mark.filterwarnings("ignore:One or more of the test scores", "ignore::sklearn.exceptions.FitFailedWarning"),
]
X, y = load_iris(return_X_y=True)
TREE = DecisionTreeClassifier(random_state=0)
GRID = {"max_depth": [1, 2, 3]}


class Kept(ResultListener):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.results: list[dict[str, Any]] = []
        self.ended: list[str] = []

    def on_result(self, result: dict[str, Any]) -> None:
        self.results.append(result)

    def on_search_end(self, search: str) -> None:
        self.ended.append(search)


def run(search: Any, report: Any, **options: Any) -> Any:
    with ffnn.pool("threads", n_workers=2, progress=False, report=report, **options):
        return search.fit(X, y)


def tree_search(**options: Any) -> GridSearchCV:
    return GridSearchCV(clone(TREE), GRID, cv=3, **options)


def assert_all_is_told(kept: Kept, search: GridSearchCV) -> None:
    """Each fit of the search is told of once, with its score."""
    told = {(one["candidate"], one["fold"]): one for one in kept.results}
    assert len(told) == len(kept.results) == 3 * len(search.cv_results_["params"])
    for (candidate, fold), one in told.items():
        assert one["scores"]["score"] == search.cv_results_[f"split{fold}_test_score"][candidate]
        assert one["parameters"] == search.cv_results_["params"][candidate]
    assert kept.ended == [kept.results[0]["search"]]
    assert {one["search"] for one in kept.results} == set(kept.ended)


@pytest.mark.parametrize("has_journal", [False, True])
def test_each_fit_is_told_of(has_journal: bool, tmp_path: Path) -> None:
    kept = Kept()
    search = run(tree_search(), kept, journal=tmp_path / "run" if has_journal else None)
    assert_all_is_told(kept, search)
    assert {(one["n_candidates"], one["n_folds"], one["round"]) for one in kept.results} == {(3, 3, 0)}
    assert all(one["failed"] is False and one["seconds"] > 0 and one["ended"] <= time.time() for one in kept.results)
    assert not any("from_journal" in one or "key" in one for one in kept.results)
    alone = tree_search().fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])


def test_what_is_taken_from_a_journal_is_told_of(tmp_path: Path) -> None:
    smaller = GridSearchCV(clone(TREE), {"max_depth": [1, 3]}, cv=3)
    run(smaller, None, journal=tmp_path / "run")
    kept = Kept()
    assert_all_is_told(kept, run(tree_search(), kept, journal=tmp_path / "run"))
    found = {one["candidate"] for one in kept.results if one.get("from_journal")}
    assert found == {0, 2}


def test_curves_and_pruned_fits_are_told_of(tmp_path: Path) -> None:
    mlp = ffnn.MLPClassifier((8,), n_epochs=7, random_state=0)
    search = GridSearchCV(mlp, {"learning_rate": [1e-5, 1e-4, 1e-2]}, cv=2, refit=False)
    policy = ffnn.SuccessiveHalving(monitor="loss")
    for _ in range(2):  # the second time from the journal
        kept = Kept()
        run(clone(search), kept, prune=policy, journal=tmp_path / "run")
        told = {(one["candidate"], one["fold"]): one for one in kept.results}
        assert len(told) == len(kept.results) == 6
        for (candidate, _), one in told.items():
            assert one.get("pruned", False) == (candidate != 2)
            assert len(one["curves"]["loss"]) == (7 if candidate == 2 else 2)
            assert not one["failed"]
    assert [told[2, fold].get("from_journal") for fold in range(2)] == [True, True]


def test_failures_are_told_of() -> None:
    kept = Kept()
    run(GridSearchCV(clone(TREE), {"max_depth": [1, -1]}, cv=3), kept)
    failed = [one for one in kept.results if one["failed"]]
    assert sorted(one["fold"] for one in failed) == [0, 1, 2]
    assert all("max_depth" in one["error"] and one["scores"] == {"score": None} for one in failed)


def test_an_error_ends_the_search_for_listeners(tmp_path: Path) -> None:
    kept = Kept()
    with pytest.raises(ValueError, match="max_depth"):
        run(GridSearchCV(clone(TREE), {"max_depth": [-1]}, cv=3, error_score="raise"), kept)
    assert len(kept.ended) == 1
    assert all("max_depth" in one["error"] for one in kept.results)


def test_the_rounds_of_a_halving_search_are_numbered() -> None:
    kept = Kept()
    search = HalvingGridSearchCV(clone(TREE), {"max_depth": [1, 2, 3, 4]}, cv=2, factor=2, random_state=0)
    run(search, kept)
    assert [one["round"] for one in kept.results] == sorted(one["round"] for one in kept.results)
    n_fits = [sum(one["round"] == i for one in kept.results) for i in range(search.n_iterations_)]
    assert n_fits == [2 * n for n in search.n_candidates_]
    assert len({one["search"] for one in kept.results}) == len(kept.ended) == 1


def test_other_calls_are_told_of() -> None:
    kept = Kept()
    with ffnn.pool("threads", progress=False, report=kept):
        assert joblib.Parallel()(joblib.delayed(pow)(i, 2) for i in range(3)) == [0, 1, 4]
        joblib.Parallel()(joblib.delayed(len)([i]) for i in range(2))
    assert sorted(one["scores"]["result"] for one in kept.results[:3]) == [0, 1, 4]
    assert [one["function"] for one in kept.results] == ["pow"] * 3 + ["len"] * 2
    assert kept.ended == list(dict.fromkeys(one["search"] for one in kept.results))


def test_a_failing_listener_is_warned_of_once_and_changes_nothing() -> None:
    class Failing(Kept):
        def on_result(self, result: dict[str, Any]) -> None:
            super().on_result(result)
            raise OSError(28, "No space left on device")

    listener = Failing()
    with pytest.warns(UserWarning, match="No space left on device.*the search goes on") as caught:
        search = run(tree_search(), listener)
    assert len([one for one in caught if "No space" in str(one.message)]) == 1
    assert_all_is_told(listener, search)


def test_a_slow_listener_does_not_slow_the_search() -> None:
    is_over = threading.Event()

    class Slow(Kept):
        def on_result(self, result: dict[str, Any]) -> None:
            is_over.wait(60)
            super().on_result(result)

    listener = Slow()
    with ffnn.pool("threads", progress=False, report=listener):
        search = tree_search().fit(X, y)
        assert listener.results == []
        is_over.set()
    assert_all_is_told(listener, search)  # the pool has waited


def test_a_listener_that_hangs_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_PATIENCE", 0.2)
    release = threading.Event()

    class Hanging(Kept):
        def on_result(self, result: dict[str, Any]) -> None:
            release.wait(60)

    with pytest.warns(UserWarning, match="9 results could not be passed on in time"):
        run(tree_search(), Hanging())
    release.set()


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "_MOST_NUMBERS", 1000)
    is_over = threading.Event()

    class Slow(Kept):
        def on_result(self, result: dict[str, Any]) -> None:
            is_over.wait(60)
            super().on_result(result)

    listener = Slow()
    pool = ffnn.pool("threads", progress=False, report=listener)
    with pool:
        tree_search().fit(X, y)
        is_over.set()
        with pytest.warns(UserWarning, match="4 results could not be passed on"):
            pool.shutdown()
    assert len(listener.results) == 5


@pytest.mark.parametrize("report", ["mlflow", Kept, object()])
def test_what_is_no_listener_is_refused(report: Any) -> None:
    with pytest.raises(TypeError, match="report must be a listener; got"):
        ffnn.pool("threads", report=report)
    with pytest.raises(TypeError, match="report must be a listener; got"):
        ffnn.make_backend_factory("threads", report=report)


AT_EXIT = """
import time, joblib, ffnn
class Slow(ffnn.callbacks.ResultListener):
    def on_result(self, result):
        time.sleep(0.1)
        print("told of", result["parameters"], flush=True)
with joblib.parallel_config("ffnn", executor="threads", report=Slow()):
    joblib.Parallel()(joblib.delayed(pow)(i, 2) for i in range(5))
"""


def test_python_waits_for_a_listener_when_it_ends() -> None:
    done = subprocess.run([sys.executable, "-c", AT_EXIT], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.count("told of") == 5


def test_warnings_as_errors_do_not_end_the_thread() -> None:
    class Failing(Kept):
        def on_result(self, result: dict[str, Any]) -> None:
            super().on_result(result)
            raise ValueError("no")

    listener = Failing()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search = run(tree_search(), listener)
    assert_all_is_told(listener, search)
