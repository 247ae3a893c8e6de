"""Small networks step in one variable of all their weights, and end where they would otherwise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from ffnn import Adam, AdamW, MLPClassifier, MLPRegressor
from ffnn.builders._cache import BoundedCache
from ffnn.builders._tensorflow.epoch.packed import PackedLayout
from tests.support.estimators import model_of, state_of

pytestmark = pytest.mark.slow

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)[:300]
Y = Y[:300]

CASES = [
    {},
    {"hidden_units": ()},
    {"hidden_units": (8, 8, 8), "dropout": 0.3},
    {"weight_decay": 0.1},
    {"solver": AdamW(), "weight_decay": 0.3},
    {"solver": Adam(clip_norm=0.01)},
    {"solver": Adam(clip_value=1e-4)},
    {"solver": "sgd", "weight_decay": 0.1, "learning_rate": 0.1},
    {"solver": "rmsprop"},
    {"solver": "adagrad"},
    {"block": ("affine", "batch_norm", "activation"), "weight_decay": 0.01},
    {"block": ("affine", "layer_norm", "prelu")},
    {"make": MLPRegressor},
    {"dtype": "float64"},
]


def fit(make=MLPClassifier, **kwargs):
    kwargs = {"hidden_units": (16,), "batch_size": 32, "n_epochs": 4, "dtype": "float32", "random_state": 0, **kwargs}
    kwargs.setdefault("builder", "tf")
    return make(**kwargs).fit(X, Y)


def packs(model):
    return model_of(model).describe()["packed"]


def apart(monkeypatch, **kwargs):
    """Return the fit in which each weight is a variable."""
    with monkeypatch.context() as patch:
        patch.setattr("ffnn.builders._tensorflow.epoch.packed.MOST_VALUES", 0)
        for module in ("_tensorflow.model", "_keras.tensorflow"):
            patch.setattr(f"ffnn.builders.{module}._programs", BoundedCache(1))
        model = fit(**kwargs)
        assert not packs(model)
    return model


def assert_same(one, other, rtol=1e-5):
    np.testing.assert_allclose(other.loss_curve_, one.loss_curve_, rtol=rtol)
    mine, theirs = state_of(one), state_of(other)
    assert mine.step == theirs.step > 0
    for name, array in (mine.weights | mine.slots).items():
        np.testing.assert_allclose((theirs.weights | theirs.slots)[name], array, rtol=rtol, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("builder", "kwargs"),
    [("tf", case) for case in CASES] + [("keras", case) for case in CASES[:5]],
    ids=lambda value: value if isinstance(value, str) else "-".join(value) or "plain",
)
def test_a_packed_fit_is_the_other_one(builder, kwargs, monkeypatch):
    packed = fit(builder=builder, **kwargs)
    assert packs(packed)
    if "batch_norm" in kwargs.get("block", ()):  # it takes the bias before it away, whose gradient is noise
        np.testing.assert_allclose(packed.loss_curve_, apart(monkeypatch, builder=builder, **kwargs).loss_curve_, 1e-5)
        return
    assert_same(apart(monkeypatch, builder=builder, **kwargs), packed)


def test_a_large_network_and_anothers_solver_are_not_packed():
    class Normalized(Adam):
        """Steps that depend on a weight as a whole."""

        def update(self, ops, weight, gradient, slots, step_size, dtype):
            return super().update(
                ops, weight, gradient / ops.sqrt(ops.sum(gradient * gradient)), slots, step_size, dtype
            )

    assert not packs(fit(solver=Normalized()))
    assert not packs(fit(hidden_units=(1024,), n_epochs=1))


def test_what_is_read_after_each_epoch_is_up_to_date_and_goes_on():
    scores = []
    watched = MLPClassifier((16,), batch_size=32, n_epochs=4, builder="tf", dtype="float32", random_state=0).fit(
        X, Y, monitor=lambda epoch, model, stats: scores.append(model.predict_proba(X[:5])), X_val=X, y_val=Y
    )
    assert_same(fit(), watched)
    assert not np.allclose(scores[0], scores[1])
    np.testing.assert_array_equal(scores[-1], watched.predict_proba(X[:5]))


def test_weights_that_were_assigned_are_trained_on():
    model = fit(n_epochs=1)
    variables = model_of(model).variables
    names = list(variables)
    model.predict(X[:1])  # the variables are up to date from here on
    variables[names[-1]].assign(np.full(10, 3.0, np.float32))
    model.partial_fit(X, Y)
    assert state_of(model).weights[names[-1]] == pytest.approx(np.full(10, 3.0), abs=0.5)


def test_threads_that_predict_at_once_after_a_fit_agree():
    for _ in range(5):
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(fit(n_epochs=2).predict_proba, [X] * 4))
        for proba in found[1:]:
            np.testing.assert_array_equal(proba, found[0])


def test_packing_and_unpacking():
    packing = PackedLayout([(2, 3), (3,), ()], "float32")
    parts = [np.arange(6.0, dtype=np.float32).reshape(2, 3), np.full(3, 7, np.float32), np.float32(8)]
    vector = packing.pack([tf.constant(part) for part in parts])
    np.testing.assert_array_equal(vector, [0, 1, 2, 3, 4, 5, 7, 7, 7, 8])
    for part, found in zip(parts, packing.unpack(vector), strict=True):
        np.testing.assert_array_equal(found, part)
    np.testing.assert_array_equal(packing.mask([True, False, True]), [1] * 6 + [0] * 3 + [1])
    assert packing.mask([True] * 3) is True
    assert packing.mask([False] * 3) is False
