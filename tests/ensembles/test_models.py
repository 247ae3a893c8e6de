"""How the models come back from where they were trained, and which of them stay."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import weakref
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.tree import DecisionTreeClassifier

import ffnn
from ffnn.exceptions import TaskTimeoutError
from ffnn.parallel.pool import Pool

X, Y = load_iris(return_X_y=True)
FOLDS = StratifiedKFold(3, shuffle=True, random_state=0)


def networks():
    network = ffnn.MLPClassifier(hidden_units=(8,), n_epochs=3, random_state=0)
    return GridSearchCV(network, {"learning_rate": [1e-3, 1e-2, 1e-1]}, cv=FOLDS)


@pytest.fixture(scope="module")
def expected():
    return ffnn.ensemble(networks(), top=2).fit(X, Y).predict_proba(X)


def fitted_in(pool: Pool):
    with pool:
        return ffnn.ensemble(networks(), top=2).fit(X, Y).predict_proba(X)


@pytest.mark.slow
def test_from_hosts_over_ssh(ssh_network, expected):
    hosts = {"hosts": [next(iter(ssh_network.hosts))], "config": ssh_network.config, "python": sys.executable}
    np.testing.assert_array_equal(fitted_in(ffnn.pool("ssh", progress=False, **hosts)), expected)


@pytest.mark.timeout(240)
def test_from_a_dask_cluster(two_slots, dask_authority, expected):
    pool = ffnn.pool("dask", address=two_slots.address, security=dask_authority.security(), progress=False)
    np.testing.assert_array_equal(fitted_in(pool), expected)


def dying(path: str, after: bool):
    """Return a search whose first fit with C=1 kills its worker, before or after the model is scored."""

    class Dying(LogisticRegression):
        def die_once(self) -> None:
            if self.C == 1.0:
                try:
                    os.close(os.open(path, os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    return
                os.kill(os.getpid(), signal.SIGKILL)

        def fit(self, X, y):
            if not after:
                self.die_once()
            return super().fit(X, y)

    def scoring(estimator, X, y):
        score = estimator.score(X, y)
        if after and isinstance(estimator, Dying):
            estimator.die_once()
        return score

    return GridSearchCV(Dying(max_iter=2000), {"C": [0.01, 1.0]}, cv=FOLDS, scoring=scoring)


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["in fit", "in the scorer"])
def test_a_worker_that_is_killed_costs_no_model(tmp_path, after):
    with ffnn.pool(n_workers=2, progress=False):
        model = ffnn.ensemble(dying(str(tmp_path / "died"), after), top=2).fit(X, Y)
    assert (tmp_path / "died").exists()
    assert [one.C for one in model.estimators_] == [1.0] * 3 + [0.01] * 3
    again = LogisticRegression(C=1.0, max_iter=2000)
    for one, (train, _) in zip(model.estimators_, FOLDS.split(X, Y), strict=False):
        np.testing.assert_allclose(one.coef_, again.fit(X[train], Y[train]).coef_, rtol=1e-6)


def slow():
    """Return a search of which one candidate never ends; its classes travel by value."""

    class Slow(LogisticRegression):
        def fit(self, X, y):
            if self.C == 1.0:
                threading.Event().wait()
            return super().fit(X, y)

    return GridSearchCV(Slow(max_iter=2000), {"C": [0.01, 1.0]}, cv=FOLDS)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning", "ignore:One or more of the test scores")
def test_a_candidate_that_times_out_takes_no_part():
    with ffnn.pool(n_workers=2, progress=False, task_timeout=5, max_retries=0):
        model = ffnn.ensemble(slow()).fit(X, Y)
        assert [one.C for one in model.estimators_] == [0.01] * 3
        with pytest.raises(TaskTimeoutError):
            ffnn.ensemble(slow().set_params(error_score="raise")).fit(X, Y)


class Alive(ClassifierMixin, BaseEstimator):
    """Keeps count of the fitted ones; the larger the size, the better the score."""

    fitted: ClassVar = weakref.WeakSet()

    def __init__(self, size=0):
        self.size = size

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.fitted.add(self)
        return self

    def predict(self, X):
        return np.where(np.arange(len(X)) < 10 * self.size, 0, 1)


def test_the_models_of_other_candidates_are_dropped():
    model = ffnn.ensemble(GridSearchCV(Alive(), {"size": range(5)}, cv=FOLDS, refit=False), top=2).fit(X, Y)
    gc.collect()
    assert set(Alive.fitted) == set(model.estimators_)
    del model
    gc.collect()
    assert not set(Alive.fitted)


def test_after_an_error_no_model_stays():
    def scoring(estimator, X, y):
        if estimator.size == 4:
            raise ArithmeticError("on purpose")
        return 0.5

    search = GridSearchCV(Alive(), {"size": range(5)}, cv=FOLDS, scoring=scoring, error_score="raise")
    with pytest.raises(ArithmeticError, match="on purpose"):
        ffnn.ensemble(search).fit(X, Y)
    gc.collect()
    assert not set(Alive.fitted)


def trees(depth):
    return GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [depth, depth + 1]}, cv=FOLDS)


def test_two_ensembles_in_threads():
    found = {}

    def fit(depth):
        found[depth] = ffnn.ensemble(trees(depth)).fit(X, Y)

    threads = [threading.Thread(target=fit, args=(depth,)) for depth in (1, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for depth, model in found.items():
        assert sorted(one.max_depth for one in model.estimators_) == [depth] * 3 + [depth + 1] * 3


def test_an_ensemble_of_ensembles_and_one_that_is_cross_validated():
    outer = GridSearchCV(ffnn.ensemble(trees(3)), {"top": [1, 2]}, cv=FOLDS)
    model = ffnn.ensemble(outer).fit(X, Y)
    assert sorted(len(one.estimators_) for one in model.estimators_) == [3] * 3 + [6] * 3
    with ffnn.pool(n_workers=2, progress=False):
        assert cross_val_score(ffnn.ensemble(trees(3)), X, Y, cv=FOLDS, error_score="raise").min() > 0.9
