"""Several threads that use one estimator."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone

from ffnn import MLPClassifier
from ffnn.testing._suite import assert_states_equal
from tests.support.estimators import state_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 8))
Y = np.digitize(X[:, 0], [-0.5, 0.5])


def classifier(**parameters):
    return MLPClassifier(**{"hidden_units": (8,), "random_state": 0, "batch_size": 20} | parameters)


def test_threads_train_one_estimator_one_after_the_other(builder):
    model, alone = classifier(builder=builder), classifier(builder=builder)
    with ThreadPoolExecutor(8) as threads:
        for call in [threads.submit(model.partial_fit, X, Y, classes=[0, 1, 2]) for _ in range(16)]:
            call.result()
    for _ in range(16):
        alone.partial_fit(X, Y, classes=[0, 1, 2])
    assert model.n_iter_ == 16
    assert model.loss_curve_ == alone.loss_curve_
    assert_states_equal(state_of(model), state_of(alone))


def test_a_refused_call_does_not_keep_the_others_waiting():
    model = classifier()
    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(model.partial_fit, X[:, : 8 - i % 2], Y, classes=[0, 1, 2]) for i in range(8)]
        errors = [call.exception(timeout=120) for call in calls]
    assert model.n_iter_ == len(model.loss_curve_) == errors.count(None) == 4


def test_a_monitor_cannot_train_what_is_being_trained():
    model = classifier(n_epochs=2)
    for method in ("fit", "partial_fit"):
        with pytest.raises(RuntimeError, match="is being trained.*clone"):
            model.fit(X, Y, monitor=lambda _, e, stats, method=method: getattr(e, method)(X, Y))
    assert not hasattr(model, "classes_")
    model.fit(X, Y, monitor=lambda _, e, stats: clone(e).fit(X, Y) and None)
    assert model.n_iter_ == 2


def test_a_copy_made_meanwhile_is_trained_by_itself():
    model, copies = classifier(n_epochs=3), []
    model.fit(X, Y, monitor=lambda _, e, stats: copies.append(pickle.loads(pickle.dumps(e))))
    for copy in copies:
        copy.partial_fit(X, Y)
    assert [copy.n_iter_ for copy in copies] == [2, 3, 4]
    assert set(vars(model)) == set(vars(copies[0]))


@pytest.mark.parametrize("form", [np.asarray, lambda x: scipy.sparse.csr_array(x * (x > 1))], ids=["dense", "sparse"])
def test_predictions_meanwhile_change_no_training(builder, form):
    """A network that learns on while it serves."""
    x = form(X)
    model, alone = (classifier(builder=builder, dtype="float32").partial_fit(x, Y, classes=[0, 1, 2]) for _ in range(2))
    done, served = threading.Event(), threading.Event()

    def serve():
        while not done.is_set():
            model.predict_proba(x)
            served.set()

    server = threading.Thread(target=serve)
    server.start()
    try:
        # the first prediction may take longer than a training that waits for nobody
        model.set_params(n_epochs=50, warm_start=True).fit(x, Y, monitor=lambda *_: served.wait(60) and None)
    finally:
        done.set()
        server.join()
    alone.set_params(n_epochs=50, warm_start=True).fit(x, Y)
    assert served.is_set()
    assert model.loss_curve_ == alone.loss_curve_
    np.testing.assert_array_equal(model.predict_proba(x), alone.predict_proba(x))
