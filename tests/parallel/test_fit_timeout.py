"""``fit_timeout``: a fit that takes too long ends with ``error_score``, and its worker goes on."""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier

import ffnn

pytestmark = [
    pytest.mark.timeout(110),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning"),
    pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite"),
]

X, y = load_digits(return_X_y=True)
MLP = ffnn.MLPClassifier(builder="native", random_state=0)
LIMIT = 1.0


class SlowTree(DecisionTreeClassifier):
    """A tree whose fits of depth 2 take an hour, or hold Python's lock for ever."""

    def fit(self, X: Any, y: Any) -> SlowTree:
        if self.max_depth == 2:
            time.sleep(3600)
        if self.max_depth == 3:
            import re

            re.match("(a*)*b", "a" * 60)
        return super().fit(X, y)


@pytest.fixture(params=["threads", "multiprocessing", pytest.param("ssh", marks=pytest.mark.slow)])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "ssh":
        config = request.getfixturevalue("ssh_network").config
        return {"name": "ssh", "hosts": ["alpha"], "config": config, "python": sys.executable, "workers_per_host": 2}
    return {"name": request.param, "n_workers": 2}


def test_a_fit_of_too_many_epochs_ends(options: dict[str, Any]) -> None:
    search = GridSearchCV(MLP, {"n_epochs": [3, 10**6]}, cv=2, refit=False)
    with ffnn.pool(**options, fit_timeout=LIMIT) as pool:
        start = time.monotonic()
        with pytest.warns(Warning, match="TaskTimeoutError: the fit took longer than fit_timeout=1 seconds"):
            search.fit(X, y)
        assert time.monotonic() - start < 2 * LIMIT + 20
    assert np.isfinite(search.cv_results_["mean_test_score"]).tolist() == [True, False]
    assert pool.n_retries == 0


@pytest.mark.slow
@pytest.mark.parametrize("depth", [2, 3], ids=["sleeps", "holds the lock"])
def test_a_fit_that_does_not_answer_ends_with_its_process(depth: int) -> None:
    search = GridSearchCV(SlowTree(random_state=0), {"max_depth": [1, depth, 4]}, cv=2, refit=False)
    with ffnn.pool("multiprocessing", n_workers=2, fit_timeout=LIMIT):
        start = time.monotonic()
        with pytest.warns(Warning, match="TaskTimeoutError: .* took longer than fit_timeout=1 seconds"):
            search.fit(X, y)
        assert time.monotonic() - start < LIMIT + 30
    assert np.isfinite(search.cv_results_["mean_test_score"]).tolist() == [True, False, True]


def test_the_parts_of_a_fit_that_pauses_have_one_limit() -> None:
    class Never(ffnn.PruningPolicy):
        monitor = "loss"

        def rungs(self) -> range:
            return range(1, 10**6, 50)

        def keep(self, losses: np.ndarray) -> np.ndarray:
            return np.ones(len(losses), bool)

    search = GridSearchCV(MLP, {"n_epochs": [3, 10**6]}, cv=2, refit=False)
    with ffnn.pool("threads", n_workers=2, fit_timeout=LIMIT, prune=Never()):
        search.fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).tolist() == [True, False]


@pytest.mark.parametrize("error_score", ["raise", 0.0])
def test_error_score_says_what_happens(error_score: Any) -> None:
    search = GridSearchCV(MLP, {"n_epochs": [3, 10**6]}, cv=2, refit=False, error_score=error_score)
    with ffnn.pool("threads", fit_timeout=LIMIT):
        if error_score == "raise":
            with pytest.raises(ffnn.exceptions.TaskTimeoutError, match="fit_timeout=1 "):
                search.fit(X, y)
        else:
            search.fit(X, y)
            assert search.cv_results_["mean_test_score"][1] == 0.0


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), ("1 s", TypeError), (True, TypeError)])
def test_what_is_no_time_is_refused(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="fit_timeout must be a"):
        ffnn.pool("threads", fit_timeout=value)
