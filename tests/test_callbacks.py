"""scikit-learn's callbacks on the estimators, and what becomes of them without such a scikit-learn."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import ffnn
from ffnn import MLPClassifier, MLPRegressor

callback = pytest.importorskip("sklearn.callback")

X, Y = load_digits(return_X_y=True)
X, Y = X[:120] / 16, Y[:120]


def classifier(**parameters):
    return MLPClassifier(**{"hidden_units": (8,), "n_epochs": 3, "random_state": 0, **parameters})


class Recorder:
    """Notes what it is told."""

    def __init__(self, stop_after=None, fail_in=None):
        self.stop_after, self.fail_in = stop_after, fail_in
        self.told, self.estimators, self.shapes = [], [], []

    def _note(self, hook, context=None):
        task = None if context is None else (context.task_name, context.task_id, context.max_subtasks)
        self.told.append((hook, task))
        if hook == self.fail_in and (task is None or task[0] == "epoch"):
            raise ZeroDivisionError(hook)

    def setup(self, estimator, context):
        self._note("setup")

    def teardown(self, estimator, context):
        self._note("teardown")

    def on_fit_task_begin(self, estimator, context, *, fitted_estimator=None):
        self._note("begin", context)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.estimators.append(fitted_estimator)
        self.shapes.append((len(X), len(y), {name: len(value) for name, value in (metadata or {}).items()}))
        self._note("end", context)
        return context.task_name == "epoch" and context.task_id == self.stop_after


# --- the protocol


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_each_epoch_is_a_task_of_the_fit(solver):
    recorder = Recorder()
    classifier(solver=solver).set_callbacks(recorder).fit(X, Y)
    epochs = [(hook, ("epoch", k, 0)) for k in range(3) for hook in ("begin", "end")]
    assert recorder.told == [
        ("setup", None), ("begin", ("fit", 0, 3)), *epochs, ("end", ("fit", 0, 3)), ("teardown", None)
    ]  # fmt: skip


def test_an_l_bfgs_that_ends_by_itself_leaves_no_task_open():
    recorder = Recorder()
    linear = MLPRegressor((), solver="lbfgs", n_epochs=500, random_state=0).set_callbacks(recorder)
    linear.fit(X[:, 20:30], X[:, 31])
    assert 1 < linear.n_iter_ < 500
    assert [hook for hook, task in recorder.told if task and task[0] == "epoch"] == ["begin", "end"] * linear.n_iter_


def test_a_true_answer_stops_the_training(builder):
    stopped = classifier(n_epochs=9, builder=builder).set_callbacks(Recorder(stop_after=2)).fit(X, Y)
    assert stopped.n_iter_ == 3
    np.testing.assert_array_equal(stopped.coefs_[0], classifier(builder=builder).fit(X, Y).coefs_[0])


def test_the_estimator_of_an_epoch_stays_that_of_the_epoch(builder):
    recorder = Recorder()
    frame = pd.DataFrame(X).add_prefix("pixel")
    whole = classifier(builder=builder).set_callbacks(recorder).fit(frame, Y)
    for n_epochs, kept in enumerate(recorder.estimators[:3], start=1):
        ended = classifier(builder=builder, n_epochs=n_epochs).fit(frame, Y)
        np.testing.assert_array_equal(kept.predict_proba(frame), ended.predict_proba(frame))
        assert kept.loss_curve_ == ended.loss_curve_
    np.testing.assert_array_equal(recorder.estimators[3].predict_proba(frame), whole.predict_proba(frame))


def test_what_is_set_apart_is_not_shown():
    recorder = Recorder()
    weight = np.ones(len(X))
    stopping = classifier(early_stopping=True, validation_fraction=0.25).set_callbacks(recorder)
    stopping.fit(X.tolist(), list(Y), sample_weight=weight)
    assert recorder.shapes[0] == (90, 90, {"sample_weight": 90})
    stopping.set_params(early_stopping=False).fit(X, Y)
    assert recorder.shapes[-1] == (120, 120, {})


def test_each_partial_fit_is_a_fit_of_one_epoch():
    recorder = Recorder()
    mlp = classifier().set_callbacks(recorder)
    for _ in range(2):
        mlp.partial_fit(X, Y, classes=np.unique(Y))
    assert [task for _, task in recorder.told if task and task[0] == "fit"] == [("fit", 0, 1)] * 4


@pytest.mark.parametrize("hook", ["setup", "begin", "end", "teardown"])
def test_an_exception_stops_the_fit_and_leaves_the_estimator_as_it_was(hook):
    mlp = classifier().fit(X, Y)
    before, curve = mlp.predict_proba(X), list(mlp.loss_curve_)
    recorder = Recorder(fail_in=hook)
    mlp.set_params(n_epochs=2).set_callbacks(recorder)
    for fit in (mlp.fit, mlp.partial_fit, copy.copy(mlp).set_params(warm_start=True).fit):
        recorder.told.clear()
        with pytest.raises(ZeroDivisionError, match=hook):
            fit(X, Y)
        assert recorder.told[-1][0] == "teardown"
        np.testing.assert_array_equal(mlp.predict_proba(X), before)
        assert mlp.loss_curve_ == curve
        assert mlp.n_iter_ == 3
        assert not [name for name in vars(mlp) if "callback" in name and name != "_skl_callbacks"]


def test_only_instances_of_the_protocol_are_taken():
    with pytest.raises(TypeError, match="FitCallback"):
        classifier().set_callbacks(print)


def test_they_are_shared_by_clones_and_kept_out_of_files(tmp_path):
    recorder = Recorder()
    mlp = classifier().set_callbacks(recorder)
    clone(mlp).fit(X, Y)
    assert recorder.told
    ffnn.save(mlp.fit(X, Y), tmp_path / "digits.ffnn")
    loaded = ffnn.load(tmp_path / "digits.ffnn")
    np.testing.assert_array_equal(loaded.predict(X), mlp.predict(X))
    assert not hasattr(loaded, "_skl_callbacks")


# --- scikit-learn's own ones


def piped(mlp):
    return Pipeline([("scale", StandardScaler()), ("mlp", mlp)])


def test_scores_are_monitored(builder):
    monitor = callback.ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    mlp = classifier(builder=builder).set_callbacks(monitor).fit(X, Y)
    log = monitor.get_logs().data
    assert [row["task_name"] for row in log] == ["fit", "epoch", "epoch", "epoch"]
    assert log[0]["accuracy"] == log[-1]["accuracy"] == mlp.score(X, Y)
    # of each epoch's end, where loss_curve_ is the mean over the epoch
    assert log[1]["neg_log_loss"] < log[2]["neg_log_loss"] < log[3]["neg_log_loss"]


def test_scores_are_weighted_and_monitored_in_a_pipeline():
    monitor = callback.ScoringMonitor(scoring="accuracy")
    weight = np.where(Y > 5, 1.0, 0.0)
    pipeline = piped(classifier().set_callbacks(monitor)).fit(X, Y, mlp__sample_weight=weight)
    log = monitor.get_logs().data
    assert len(log) == 4
    assert log[0]["accuracy"] == pipeline.score(X, Y, sample_weight=weight)


SLOW = [pytest.param(place, marks=pytest.mark.slow) for place in ("loky", "multiprocessing")]


@pytest.mark.parametrize("place", ["threading", *SLOW])
def test_both_work_in_a_search(place, capsys):
    monitor = callback.ScoringMonitor(scoring="accuracy")
    search = GridSearchCV(
        piped(classifier(n_epochs=2).set_callbacks(monitor)), {"mlp__hidden_units": [(4,), (8,)]}, cv=2, n_jobs=2
    ).set_callbacks(callback.ProgressBar(max_propagation_depth=None))
    with ffnn.pool("multiprocessing", n_workers=2) if place == "multiprocessing" else joblib.parallel_config(place):
        search.fit(X, Y)
    log = monitor.get_logs().data
    # four candidates and splits, and the refit: the end of each fit, and of its two epochs
    assert [row["task_name"] for row in log].count("epoch") == 2 * 5
    assert all(row["accuracy"] > 0 for row in log)
    shown = capsys.readouterr().out
    assert "GridSearchCV" in shown
    assert "MLPClassifier" in shown
    assert shown.count("100%") == len(shown.strip().splitlines())
    pickle.dumps(search)


def test_a_bar_shows_the_epochs(capsys):
    classifier().set_callbacks(callback.ProgressBar()).fit(X, Y)
    assert "MLPClassifier - fit" in capsys.readouterr().out


# --- an older scikit-learn


WITHOUT = """
import sys
import sklearn.model_selection, sklearn.pipeline
sys.modules["sklearn.callback"] = None  # as before 1.9
from sklearn.datasets import load_iris
from ffnn import MLPClassifier
X, y = load_iris(return_X_y=True)
stops = lambda epoch, *_: epoch == 1
mlp = MLPClassifier((8,), random_state=0).fit(X, y, monitor=stops).partial_fit(X, y)
print(mlp.n_iter_, hasattr(mlp, "set_callbacks"))
"""


@pytest.mark.slow
def test_nothing_else_changes_without_them():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["3", "False"], done.stderr
