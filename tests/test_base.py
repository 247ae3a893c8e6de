"""What both estimators do with data, seeds, weights and monitors."""

from __future__ import annotations

import gc
import random
import weakref

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from ffnn import MLPClassifier, MLPRegressor
from ffnn.exceptions import TrainingDivergedError
from ffnn.testing._suite import assert_states_equal
from tests.support.estimators import scores_of, state_of

X, Y = load_iris(return_X_y=True)
X_REG, Y_REG = (a[:120] for a in load_diabetes(return_X_y=True))
SPARSE = np.where(X > 2, X, 0)


def classifier(**parameters):
    return MLPClassifier(**{"hidden_units": (6,), "n_epochs": 2, "random_state": 0} | parameters)


def regressor(**parameters):
    return MLPRegressor(**{"hidden_units": (6,), "n_epochs": 2, "random_state": 0} | parameters)


def assert_refused(estimator, error, message, call):
    """Check the error, and that nothing of the estimator has changed."""
    before = {name: list(v) if isinstance(v, list) else v for name, v in vars(estimator).items()}
    fitted = before.pop("_fitted", None)
    state = fitted and fitted.state
    with pytest.raises(error, match=message):
        call(estimator)
    after = dict(vars(estimator))
    if fitted:
        assert_states_equal(after.pop("_fitted").state, state)
    assert after.keys() == before.keys()
    for name, value in before.items():
        assert after[name] is value or (isinstance(value, list) and after[name] == value), name


# --- bad data


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
def test_what_is_not_finite_in_x_is_refused(bad, form):
    broken = X.copy()
    broken[3, 1] = bad
    assert_refused(classifier(), ValueError, "Input X contains (NaN|infinity)", lambda e: e.fit(form(broken), Y))
    fitted = classifier().fit(X, Y)
    assert_refused(fitted, ValueError, "Input X contains (NaN|infinity)", lambda e: e.fit(form(broken), Y))
    assert_refused(fitted, ValueError, "Input X contains (NaN|infinity)", lambda e: e.predict(form(broken)))
    assert_refused(fitted, ValueError, "Input X contains (NaN|infinity)", lambda e: e.partial_fit(form(broken), Y))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_in_y_is_refused(bad):
    y = Y_REG.copy()
    y[5] = bad
    assert_refused(regressor(), ValueError, "[yY] contains (NaN|infinity)", lambda e: e.fit(X_REG, y))
    assert_refused(classifier(), ValueError, "[yY] contains (NaN|infinity)", lambda e: e.fit(X_REG, y))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(150), "weight"),
        (np.full(150, -1.0), "[Nn]egative"),
        (np.ones(7), r"sample_weight.*\(7,\).*\(150,\)"),
        (np.full(150, np.nan), "NaN"),
    ],
    ids=["zero", "negative", "short", "nan"],
)
def test_bad_sample_weights_are_refused(weight, message):
    assert_refused(classifier(), ValueError, message, lambda e: e.fit(X, Y, sample_weight=weight))
    assert_refused(regressor(), ValueError, message, lambda e: e.fit(X, Y, sample_weight=weight))
    fitted = classifier().fit(X, Y)
    assert_refused(fitted, ValueError, message, lambda e: e.partial_fit(X, Y, sample_weight=weight))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function", "partial_fit", "score"])
def test_another_number_of_features_is_refused(method):
    fitted = classifier().fit(X, Y)
    y = (Y,) if method in ("partial_fit", "score") else ()
    message = "X has 3 features, but MLPClassifier is expecting 4 features"
    assert_refused(fitted, ValueError, message, lambda e: getattr(e, method)(X[:, :3], *y))


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "decision_function"])
def test_an_estimator_that_is_not_fitted_says_so(method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(classifier(), method)(X)
    for attribute in ("model_", "coefs_", "intercepts_", "network_", "loss_curve_"):
        assert not hasattr(classifier(), attribute)


def test_a_training_that_diverges_leaves_the_estimator_as_it_was():
    estimator = regressor(solver="sgd", learning_rate=1e6, n_epochs=50, activation=None)
    message = "training loss became (nan|inf) in epoch .*X has values.*Scale.*lower learning_rate"
    assert_refused(estimator, TrainingDivergedError, message, lambda e: e.fit(1e3 * X, Y))


# --- forms of X

FORMATS = [
    getattr(scipy.sparse, f"{name}_{kind}")
    for name in ("csr", "csc", "coo", "bsr", "dia", "dok", "lil")
    for kind in ("matrix", "array")
]


def test_every_sparse_format_is_the_same_as_dense():
    dense = classifier().fit(SPARSE, Y)
    assert not dense.network_.input.sparse
    for form in FORMATS:
        sparse, name = classifier().fit(form(SPARSE), Y), form.__name__
        found, expected = sparse.decision_function(form(SPARSE)), dense.decision_function(SPARSE)
        np.testing.assert_allclose(found, expected, rtol=1e-9, err_msg=name)
        assert sparse.network_.input.sparse, name


def test_dense_and_sparse_may_follow_one_another(builder):
    for first, then in [(np.asarray, scipy.sparse.csr_array), (scipy.sparse.csr_array, np.asarray)]:
        estimator = classifier(builder=builder).fit(first(SPARSE), Y)
        expected = estimator.decision_function(first(SPARSE))
        np.testing.assert_allclose(estimator.decision_function(then(SPARSE)), expected, rtol=1e-9)
        assert np.isfinite(estimator.partial_fit(then(SPARSE), Y).loss_curve_).all()


def test_a_frames_columns_have_names():
    frame = pd.DataFrame(X, columns=list("abcd"))
    estimator = classifier().fit(frame, Y)
    np.testing.assert_array_equal(estimator.feature_names_in_, list("abcd"))
    np.testing.assert_array_equal(estimator.decision_function(frame), classifier().fit(X, Y).decision_function(X))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        estimator.predict(X)
    for other in (frame[list("dcba")], frame.rename(columns={"a": "z"})):
        with pytest.raises(ValueError, match="feature names"):
            estimator.predict(other)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
def test_one_row_is_predicted_as_among_others(dtype, form):
    estimator = classifier(dtype=dtype).fit(form(SPARSE), Y)
    everything = estimator.predict_proba(form(SPARSE))
    for i in (0, 77, 149):
        np.testing.assert_array_equal(estimator.predict_proba(form(SPARSE)[[i]]), everything[[i]])


# --- seeds


def weights_of(estimator):
    return [*estimator.coefs_, *estimator.intercepts_]


def assert_equal_weights(one, other):
    for a, b in zip(weights_of(one), weights_of(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("make", [lambda: 3, lambda: np.random.RandomState(3)], ids=["int", "instance"])
def test_a_random_state_makes_fit_repeatable(make):
    one, other = (classifier(dropout=0.3, random_state=make()).fit(X, Y) for _ in range(2))
    assert_equal_weights(one, other)
    assert one.loss_curve_ == other.loss_curve_


def test_an_instance_goes_on_from_fit_to_fit():
    state = check_random_state(3)
    one, other = (classifier(random_state=state).fit(X, Y) for _ in range(2))
    assert not np.array_equal(one.coefs_[0], other.coefs_[0])
    first = classifier(random_state=3).fit(X, Y)
    assert_equal_weights(one, first)
    assert_equal_weights(first.fit(X, Y), one)


def test_no_global_seed_is_touched(builder):
    random.seed(0), np.random.seed(0), tf.random.set_seed(0)
    expected = random.random(), np.random.random(), float(tf.random.uniform(()))
    random.seed(0), np.random.seed(0), tf.random.set_seed(0)
    with_seed = classifier(dropout=0.3, builder=builder).fit(X, Y)
    assert (random.random(), np.random.random(), float(tf.random.uniform(()))) == expected
    random.seed(9), np.random.seed(9), tf.random.set_seed(9)
    assert_equal_weights(classifier(dropout=0.3, builder=builder).fit(X, Y), with_seed)


# --- sample weights


KINDS = {
    "binary": Y > 0,
    "multiclass": Y,
    "multilabel": np.where(X[:, 3:] > 2, -1, X[:, :3] > X[:, :3].mean(axis=0)),
    "regression": X[:, 0] * 3,
    "regressions": X[:, :2] * 3,
}


@pytest.mark.parametrize(
    ("kind", "builder"), [*((kind, "native") for kind in KINDS), ("multiclass", "tf"), ("regressions", "keras")]
)
def test_a_weight_is_a_repetition_on_a_full_batch(kind, builder):
    repeats = np.random.default_rng(0).integers(0, 4, size=75)
    x, y = X[::2], KINDS[kind][::2]
    make = (regressor if "regression" in kind else classifier)(batch_size=500, n_epochs=5, builder=builder)
    many = np.repeat(x, repeats, axis=0), np.repeat(y, repeats, axis=0)
    n_val = repeats[:40].sum()
    weighted = clone(make).fit(x, y, repeats, X_val=x[:40], y_val=y[:40], sample_weight_val=repeats[:40])
    repeated = clone(make).fit(*many, X_val=many[0][:n_val], y_val=many[1][:n_val])
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(weighted.validation_loss_curve_, repeated.validation_loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(scores_of(weighted, x), scores_of(repeated, x), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(weighted.score(x, y, repeats), weighted.score(*many), rtol=1e-12)
    first = {} if "regression" in kind or kind == "multilabel" else {"classes": np.unique(y)}
    weighted, repeated = clone(make).partial_fit(x, y, sample_weight=repeats, **first), clone(make)
    repeated.partial_fit(*many, **first)
    np.testing.assert_allclose(scores_of(weighted, x), scores_of(repeated, x), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("make", [classifier, regressor])
def test_a_weight_of_zero_is_a_removal_also_in_small_batches(make, solver):
    keep = np.random.default_rng(0).random(150) < 0.7
    y = Y if make is classifier else X[:, 0]
    zero = make(solver=solver, batch_size=16, dropout=0.2).fit(X, y, sample_weight=keep.astype(float))
    removed = make(solver=solver, batch_size=16, dropout=0.2).fit(X[keep], y[keep])
    np.testing.assert_allclose(zero.loss_curve_, removed.loss_curve_, rtol=1e-7)
    np.testing.assert_allclose(scores_of(zero, X), scores_of(removed, X), rtol=1e-5, atol=1e-7)


# --- the monitor


def test_the_monitor_is_called_once_an_epoch_with_an_estimator_that_predicts():
    calls = []

    def monitor(epoch, estimator, stats):
        calls.append((epoch, stats["loss"], estimator.score(X, Y), estimator.n_iter_))

    estimator = classifier(n_epochs=3).fit(X, Y, monitor=monitor)
    assert [(epoch, n_iter) for epoch, _, _, n_iter in calls] == [(0, 1), (1, 2), (2, 3)]
    assert [loss for _, loss, _, _ in calls] == estimator.loss_curve_
    assert calls[-1][2] == estimator.score(X, Y)
    estimator.partial_fit(X, Y, monitor=monitor)
    assert calls[-1][0] == 3


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_true_answer_stops_the_training(solver):
    estimator = classifier(n_epochs=9, solver=solver)
    estimator.fit(X, Y, monitor=lambda epoch, *_: epoch == 3)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 4
    shorter = classifier(n_epochs=4, solver=solver).fit(X, Y)
    np.testing.assert_allclose(estimator.decision_function(X), shorter.decision_function(X), rtol=1e-6)


@pytest.mark.parametrize(
    ("method", "error", "builder"),
    [
        ("fit", ZeroDivisionError, "native"),
        ("fit", KeyboardInterrupt, "tf"),
        ("partial_fit", ZeroDivisionError, "keras"),
        ("partial_fit", KeyboardInterrupt, "native"),
    ],
)
def test_a_monitors_exception_leaves_the_estimator_as_it_was(method, error, builder):
    def monitor(epoch, estimator, stats):
        raise error("the monitor's")

    classes = {"classes": np.unique(Y)} if method == "partial_fit" else {}

    def call(estimator):
        getattr(estimator, method)(X, Y, monitor=monitor, **classes)

    assert_refused(classifier(builder=builder), error, "the monitor", call)
    fitted = classifier(builder=builder).fit(X, Y)
    scores, curve = fitted.decision_function(X), list(fitted.loss_curve_)
    with pytest.raises(error, match="the monitor"):
        call(fitted)
    np.testing.assert_array_equal(fitted.decision_function(X), scores)
    assert fitted.loss_curve_ == curve
    assert fitted.n_iter_ == 2


# --- parameters that change between two calls of partial_fit


def test_partial_fit_takes_over_what_may_change(builder):
    estimator = classifier(builder=builder).partial_fit(X, Y, classes=np.unique(Y))
    before = state_of(estimator)
    estimator.set_params(dropout=0.5, learning_rate=1e-9, batch_size=150).partial_fit(X, Y)
    after = state_of(estimator)
    assert after.step == before.step + 1
    for name, array in before.weights.items():
        np.testing.assert_allclose(after.weights[name], array, atol=1e-7)
    estimator.set_params(solver="sgd").partial_fit(X, Y)
    assert state_of(estimator).step == 1
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 3


@pytest.mark.parametrize("change", [{"hidden_units": (7,)}, {"hidden_units": (6, 6)}, {"block": ("affine", "affine")}])
def test_partial_fit_refuses_another_network(change):
    estimator = classifier().partial_fit(X, Y, classes=np.unique(Y)).set_params(**change)
    message = (
        "hidden_units=.* and block=.* describe another network than the one that is trained already. Set them back"
    )
    assert_refused(estimator, ValueError, message, lambda e: e.partial_fit(X, Y))


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_matrix], ids=["dense", "sparse"])
def test_data_is_let_go_of_when_a_call_ends(form, builder):
    """Chunk by chunk, nobody should have to wait for the garbage collector."""
    rng = np.random.default_rng(0)
    estimator = MLPRegressor((4,), builder=builder, random_state=0)
    alive = []
    gc.disable()
    try:
        for _ in range(3):
            chunk = form(rng.random((50, 8)))
            alive.append(weakref.ref(chunk))
            estimator.partial_fit(chunk, np.arange(50.0))
            del chunk
        assert [chunk() is not None for chunk in alive[1:]] == [False, False]  # tracing may keep the first one
    finally:
        gc.enable()
