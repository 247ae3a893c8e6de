"""Keras's callbacks on the Keras builder."""

from __future__ import annotations

import csv
import importlib.util
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

import ffnn
from ffnn import KerasBuilder, MLPClassifier
from ffnn.exceptions import PersistenceError
from tests.support.estimators import model_of

keras = pytest.importorskip("keras")
callbacks = keras.callbacks

X, Y = load_digits(return_X_y=True)
X, Y = X[:200] / 16, Y[:200]
VALIDATION = {"X_val": X[150:], "y_val": Y[150:]}


def classifier(*given, **parameters):
    defaults = {"hidden_units": (8,), "n_epochs": 4, "random_state": 0, "learning_rate": 0.01}
    return MLPClassifier(**defaults | {"builder": KerasBuilder(callbacks=list(given))} | parameters)


class Recorder(callbacks.Callback):
    """Notes what it is told, and what it sees."""

    def __init__(self):
        super().__init__()
        self.told, self.seen = [], []

    def _note(self, hook, epoch=None, logs=None):
        self.told.append((hook, epoch, dict(logs or {})))
        self.seen.append([np.array(w) for w in self.model.get_weights()])

    def on_train_begin(self, logs=None):
        self._note("train begin", logs=logs)

    def on_epoch_begin(self, epoch, logs=None):
        self._note("epoch begin", epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self._note("epoch end", epoch, logs)

    def on_test_end(self, logs=None):
        self._note("test end", logs=logs)

    def on_train_end(self, logs=None):
        self._note("train end", logs=logs)


class Setter(callbacks.Callback):
    """Gives the model other weights."""

    def __init__(self, epoch, value):
        super().__init__()
        self.epoch, self.value = epoch, value

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            self.model.set_weights([np.full_like(w, self.value) for w in self.model.get_weights()])


# --- what they are told and see


def test_they_are_told_of_each_epoch_by_keras_names():
    mlp = classifier(Recorder(), scoring="accuracy", learning_rate=ffnn.Exponential(0.01)).fit(X, Y, **VALIDATION)
    (recorder,) = mlp.callbacks_
    hooks = [hook for hook, _, _ in recorder.told]
    assert hooks == ["train begin", *["epoch begin", "test end", "epoch end"] * 4, "train end"]
    ends = [(epoch, logs) for hook, epoch, logs in recorder.told if hook == "epoch end"]
    assert [epoch for epoch, _ in ends] == [0, 1, 2, 3]
    assert [logs["loss"] for _, logs in ends] == mlp.loss_curve_
    assert [logs["val_loss"] for _, logs in ends] == mlp.validation_loss_curve_
    assert [logs["val_score"] for _, logs in ends] == mlp.validation_scores_
    rates = [logs["learning_rate"] for _, logs in ends]
    assert 0.01 > rates[0] > rates[1] > rates[3] > 0
    assert recorder.told[-1][2] == ends[-1][1]
    assert recorder.params == {"epochs": 4, "steps": 4, "verbose": 0}


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_they_see_a_keras_model_in_step_with_the_training(solver):
    recorder = Recorder()
    mlp = classifier(recorder, solver=solver, learning_rate=0.01, dtype="float64")
    kept = []
    mlp.fit(X, Y, monitor=lambda epoch, e, stats: kept.append(e.model_.get_weights()))
    ends = [
        w for (hook, _, _), w in zip(mlp.callbacks_[0].told, mlp.callbacks_[0].seen, strict=True) if hook == "epoch end"
    ]
    assert len(ends) == len(kept) == 4
    for seen, true in zip(ends, kept, strict=True):
        for one, other in zip(seen, true, strict=True):
            np.testing.assert_array_equal(one, other)
    assert recorder.seen == []  # the parameter itself is not touched


def test_what_they_train_is_what_is_trained_without():
    plain = MLPClassifier((8,), builder="keras", n_epochs=4, random_state=0, learning_rate=0.01).fit(X, Y)
    np.testing.assert_array_equal(classifier(Recorder()).fit(X, Y).coefs_[0], plain.coefs_[0])


def test_they_may_set_weights():
    mlp = classifier(Setter(3, 0.5)).fit(X, Y)
    np.testing.assert_array_equal(mlp.coefs_[0], 0.5)
    mlp.set_params(n_epochs=5).fit(X, Y)  # one more epoch goes on from there
    assert 0 < np.abs(mlp.coefs_[0] - 0.5).max() < 0.1


def test_a_new_fit_has_new_copies():
    mlp = classifier(Recorder(), warm_start=True)
    first = mlp.fit(X, Y).callbacks_[0]
    second = mlp.fit(X, Y).callbacks_[0]
    assert [epoch for hook, epoch, _ in second.told if hook == "epoch end"] == [4, 5, 6, 7]
    assert second is not first
    assert len(first.told) == 10
    mlp.partial_fit(X, Y)
    assert [epoch for hook, epoch, _ in mlp.callbacks_[0].told if hook == "epoch end"] == [8]


def test_an_exception_leaves_the_estimator_as_it_was():
    def fail(epoch, logs):
        raise ZeroDivisionError(epoch)

    mlp = classifier().fit(X, Y)
    before = mlp.predict_proba(X)
    mlp.set_params(builder=KerasBuilder(callbacks=[Setter(0, 7.0), callbacks.LambdaCallback(on_epoch_end=fail)]))
    for method in (mlp.fit, mlp.partial_fit):
        with pytest.raises(ZeroDivisionError):
            method(X, Y)
        np.testing.assert_array_equal(mlp.predict_proba(X), before)
        assert not hasattr(mlp, "callbacks_")


def test_a_model_of_the_users_is_what_they_see():
    def build(network):
        model = keras.Sequential([keras.layers.Dense(network.n_outputs, activation="softmax")])
        model.build((None, network.n_features))
        return model

    recorder = Recorder()
    mlp = MLPClassifier(builder=KerasBuilder(build, callbacks=[recorder]), n_epochs=2, random_state=0).fit(X, Y)
    for seen, weight in zip(mlp.callbacks_[0].seen[-1], mlp.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(seen, weight)


# --- Keras's own


def test_early_stopping_stops_and_restores():
    stop = callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    kept = []
    mlp = classifier(stop, n_epochs=300, learning_rate=0.1)
    mlp.fit(X[:60], Y[:60], **VALIDATION, monitor=lambda _, e, stats: kept.append(e.coefs_[0]))
    best = int(np.argmin(mlp.validation_loss_curve_))
    assert mlp.n_iter_ == best + 3 == mlp.callbacks_[0].stopped_epoch + 1 < 300
    np.testing.assert_array_equal(mlp.coefs_[0], kept[best])


def test_files_are_written(tmp_path):
    log, checkpoint, board = tmp_path / "log.csv", tmp_path / "{epoch}.keras", tmp_path / "board"
    given = [
        callbacks.CSVLogger(log),
        callbacks.ModelCheckpoint(checkpoint),
        callbacks.TerminateOnNaN(),
        callbacks.History(),
    ]
    given.append(callbacks.TensorBoard(board, histogram_freq=1))
    mlp = classifier(*given).fit(X, Y, **VALIDATION)
    with log.open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == mlp.loss_curve_
    assert [float(row["val_loss"]) for row in rows] == mlp.validation_loss_curve_
    saved = keras.models.load_model(tmp_path / "4.keras")
    np.testing.assert_allclose(saved.predict(X, verbose=0), mlp.predict_proba(X), rtol=1e-4, atol=1e-6)
    assert {path.name for path in board.iterdir()} == {"train", "validation"}
    assert mlp.callbacks_[3].history["loss"] == mlp.loss_curve_


def test_a_checkpoint_may_keep_the_best_score_alone(tmp_path):
    keep = callbacks.ModelCheckpoint(
        tmp_path / "best.weights.h5", "val_score", mode="max", save_best_only=True, save_weights_only=True
    )
    mlp = classifier(keep, scoring="accuracy", n_epochs=12).fit(X, Y, **VALIDATION)
    model = mlp.model_
    model.load_weights(tmp_path / "best.weights.h5")
    accuracy = np.mean(model.predict(VALIDATION["X_val"], verbose=0).argmax(axis=1) == VALIDATION["y_val"])
    assert accuracy == max(mlp.validation_scores_)


# --- searches, pickles, files


def test_they_are_cloned_pickled_and_searched(tmp_path):
    mlp = classifier(callbacks.CSVLogger(tmp_path / "log.csv"), callbacks.EarlyStopping("loss", patience=1)).fit(X, Y)
    again = pickle.loads(pickle.dumps(clone(mlp).fit(X, Y)))
    assert again.callbacks_ == []  # they hold files and models
    np.testing.assert_array_equal(again.fit(X, Y).coefs_[0], mlp.coefs_[0])
    axes = {"builder__callbacks": [None, [callbacks.EarlyStopping("loss", patience=0)]]}
    search = GridSearchCV(mlp, axes, cv=2, refit=False, error_score="raise").fit(X, Y)
    pickle.dumps(search)


def test_a_file_of_ffnn_cannot_have_them():
    mlp = classifier(callbacks.EarlyStopping("loss")).fit(X, Y)
    with pytest.raises(PersistenceError, match=r"builder.callbacks\[0\]"):
        ffnn.save(mlp, "unused.ffnn")


def test_another_callback_is_no_other_model():
    mlp = classifier().fit(X, Y)
    model = model_of(mlp)
    mlp.set_params(builder__callbacks=[callbacks.History()])
    assert model_of(mlp) is model


# --- what is refused


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (callbacks.History(), TypeError, "expected a list of keras.callbacks.Callback"),
        ([print], TypeError, r"callbacks\[0\]=.*expected an instance of keras.callbacks.Callback.*monitor="),
        ([callbacks.History], TypeError, "expected an instance"),
        ([callbacks.LearningRateScheduler(lambda epoch, rate: rate)], ValueError, "learning_rate=: ffnn.Cosine"),
        ([callbacks.History(), callbacks.ReduceLROnPlateau()], ValueError, r"callbacks\[1\] is a ReduceLROnPlateau"),
        ([callbacks.BackupAndRestore("x")], ValueError, "warm_start=True"),
        ([callbacks.SwapEMAWeights()], ValueError, "early_stopping=True"),
        ([callbacks.ModelCheckpoint("x.keras", save_freq=10)], ValueError, "save_freq=10; expected 'epoch'"),
        ([callbacks.TensorBoard("x", update_freq="batch")], ValueError, "update_freq=1; expected 'epoch'"),
        ([callbacks.LambdaCallback(on_train_batch_end=print)], ValueError, "on_train_batch_end, which is never called"),
    ],
)
def test_what_can_never_work_is_refused_before_anything_starts(given, error, message):
    mlp = MLPClassifier(builder=KerasBuilder(callbacks=given))
    with pytest.raises(error, match=message):
        mlp.fit(X, Y)
    assert not [name for name in vars(mlp) if name.endswith("_")]


def test_what_cannot_be_copied_is_named():
    holder = callbacks.History()
    holder.file = open(__file__)  # noqa: SIM115 - what is open is the point
    with pytest.raises(TypeError, match=r"KerasBuilder.callbacks\[0\].*cannot be copied.*on_train_begin"):
        classifier(holder).fit(X, Y)
    holder.file.close()


# --- Keras on another engine

ON_JAX = """
import keras, numpy as np
from sklearn.datasets import load_iris
from ffnn import KerasBuilder, MLPClassifier
from tests.support.estimators import model_of
X, y = load_iris(return_X_y=True)
seen = []
class Look(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        seen.append(self.model.get_weights()[0])
    def on_train_end(self, logs=None):
        self.model.set_weights([w + 1 for w in self.model.get_weights()])
kept = []
mlp = MLPClassifier((8,), builder=KerasBuilder(callbacks=[Look()]), n_epochs=2, dtype="float64", random_state=0)
mlp.fit(X, y, monitor=lambda epoch, e, stats: kept.append(e.coefs_[0]))
print(keras.backend.backend(), seen[0].dtype, np.array_equal(seen, kept), np.array_equal(mlp.coefs_[0], kept[1] + 1))
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
def test_on_jax_they_see_the_same():
    env = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, "-c", ON_JAX], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["jax", "float64", "True", "True"], done.stderr
