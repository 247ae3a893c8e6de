"""A training that diverges: in its last step, in its validation data, by the size of X or y."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import scipy.sparse
from sklearn.model_selection import GridSearchCV

from ffnn import MLPClassifier, MLPRegressor
from ffnn.exceptions import TrainingDivergedError
from ffnn.testing._suite import assert_states_equal
from tests.support.estimators import state_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 5))
Y = (X[:, 0] > 0).astype(int)


def classifier(**parameters):
    return MLPClassifier(**{"hidden_units": (4,), "n_epochs": 1, "dtype": "float32", "random_state": 0} | parameters)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_the_last_step_is_looked_at(builder, solver):
    model = classifier(learning_rate=1e38, builder=builder, solver=solver)
    with pytest.raises(TrainingDivergedError, match=r"After the last step, in epoch 0.*learning_rate .it is 1e\+38"):
        model.fit(X, Y)
    assert not hasattr(model, "classes_")
    with pytest.raises(ValueError, match="After the last step"):  # which scikit-learn's users catch
        model.fit(scipy.sparse.csr_array(X), Y)


@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_training_on_leaves_the_state_as_it_was(builder, method):
    norm = "layer_norm" if builder == "native" else "batch_norm"
    model = classifier(builder=builder, warm_start=True, block=("affine", norm, "activation")).fit(X, Y)
    state, curve = state_of(model), list(model.loss_curve_)
    model.set_params(learning_rate=1e38)
    with pytest.raises(TrainingDivergedError):
        getattr(model, method)(X, Y)
    assert_states_equal(state_of(model), state)
    assert (model.loss_curve_, model.n_iter_) == (curve, 1)
    getattr(model.set_params(learning_rate=1e-3), method)(X, Y)
    assert model.n_iter_ == 2


def test_a_search_does_not_score_it():
    search = GridSearchCV(classifier(), {"learning_rate": [1e-3, 1e38]}, cv=3, error_score=np.nan, refit=False)
    with pytest.warns(Warning, match="TrainingDivergedError"):
        search.fit(X, Y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores[0])
    assert np.isnan(scores[1])


def test_a_validation_loss_that_is_not_finite_ends_the_training():
    rates = [1e-2, 1e-2, 1e38]
    model = classifier(learning_rate=lambda step: rates[step], batch_size=60, n_epochs=2, solver="sgd")
    model.fit(X, Y, X_val=X, y_val=Y)
    with pytest.raises(TrainingDivergedError, match="The validation loss became (nan|inf) in epoch 2"):
        model.set_params(n_epochs=3).fit(X, Y, X_val=X, y_val=Y)
    assert model.n_iter_ == 2


def test_validation_data_that_overflows_is_named():
    model = MLPRegressor((4,), n_epochs=2, dtype="float32", random_state=0)
    with pytest.raises(TrainingDivergedError, match="validation loss became inf.*validation data's X has values of up"):
        model.fit(X, X[:, 0], X_val=X * 1e38, y_val=X[:, 0])
    with pytest.raises(ValueError, match="validation data's y has values that overflow"):
        model.fit(X, X[:, 0], X_val=X, y_val=X[:, 0] * 1e300)


def test_x_is_blamed_where_it_is_large():
    model = MLPRegressor((16,), n_epochs=5, solver="sgd", dtype="float32", random_state=0)
    with pytest.raises(TrainingDivergedError, match=r"X has values of up to .*e\+05. Scale .*If that is not enough"):
        model.fit(X * 1e5, X[:, 0])
    with pytest.raises(TrainingDivergedError, match="X has values of up to"):
        model.fit(scipy.sparse.csr_array(X * 1e5), X[:, 0])
    lbfgs = MLPRegressor((16,), solver="lbfgs", dtype="float32", random_state=0)
    with pytest.raises(TrainingDivergedError) as raised:
        lbfgs.fit(X * 1e30, X[:, 0])
    assert "learning_rate" not in str(raised.value)


@pytest.mark.parametrize("scale", [1e200, 2.0**1000, 1e-200, 1.0])
def test_targets_of_any_size_are_learned(scale):
    y = X[:, 0]
    plain = MLPRegressor((8,), n_epochs=40, random_state=0, learning_rate=0.01).fit(X, y)
    scaled = MLPRegressor((8,), n_epochs=40, random_state=0, learning_rate=0.01).fit(X, y * scale)
    np.testing.assert_allclose(scaled.loss_curve_, plain.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(scaled.predict(X) / scale, plain.predict(X), rtol=1e-6, atol=1e-9)


def test_later_targets_that_are_far_larger_are_named():
    model = MLPRegressor((8,), dtype="float32", random_state=0).partial_fit(X, X[:, 0])
    with pytest.raises(ValueError, match="y has values that overflow float32.*Rescale"):
        model.partial_fit(X, X[:, 0] * 1e200)
    with pytest.raises(TrainingDivergedError, match="the standardised y has values of up to"):
        model.partial_fit(X, X[:, 0] * 1e30)


def test_predictions_that_overflow_are_refused():
    model = MLPRegressor((8,), dtype="float32", random_state=0, activation=None).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="scores overflow float32"):
        model.predict(np.full((3, 5), 3e38))


@pytest.mark.parametrize("epochs", [1, 5])
def test_ctrl_c_is_not_lost_where_the_training_diverges(epochs):
    """A loop over fits, such as a search, goes on after an error but not after Ctrl-C."""
    model = classifier(learning_rate=1e38, n_epochs=epochs)

    def interrupt(*_):
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="as it was before"):
        model.fit(X, Y, monitor=interrupt)
    assert not hasattr(model, "classes_")
