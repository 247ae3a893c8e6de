from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier as SklearnMLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ffnn
from ffnn import MLPClassifier
from tests.conftest import BUILDERS

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
MULTI = np.column_stack([X[:, 0] > 5.8, X[:, 1] > 3, X[:, 2] > 4]).astype(int)


def classifier(**parameters):
    return MLPClassifier(**{"hidden_units": (8,), "n_epochs": 3, "random_state": 0} | parameters)


# --- labels


def test_labels_may_be_strings():
    estimator = classifier(n_epochs=30, learning_rate=0.02).fit(X, NAMES)
    np.testing.assert_array_equal(estimator.classes_, np.unique(NAMES))
    assert set(estimator.predict(X)) <= set(NAMES)
    assert estimator.score(X, NAMES) > 0.9
    numbers = classifier(n_epochs=30, learning_rate=0.02).fit(X, Y)
    np.testing.assert_array_equal(estimator.predict_proba(X), numbers.predict_proba(X))


@pytest.mark.parametrize("labels", [(-1, 1), (False, True), ("no", "yes"), (3, 7)])
def test_binary_labels_of_any_kind(labels):
    y = np.array(labels)[(Y > 0).astype(int)]
    estimator = classifier(n_epochs=30, learning_rate=0.02).fit(X, y)
    np.testing.assert_array_equal(estimator.classes_, labels)
    scores, probabilities = estimator.decision_function(X), estimator.predict_proba(X)
    assert scores.shape == (150,)
    assert probabilities.shape == (150, 2)
    np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-scores)))
    np.testing.assert_array_equal(estimator.predict(X), np.array(labels)[(scores > 0).astype(int)])
    # a row labelled -1 is a row of that class, not a missing one
    assert estimator.score(X, y) == np.mean(estimator.predict(X) == y) > 0.95


def test_labels_may_be_a_list_or_a_series():
    expected = classifier().fit(X, NAMES).predict_proba(X)
    for labels in (NAMES.tolist(), pd.Series(NAMES), pd.Series(NAMES, dtype="category"), NAMES.astype(object)):
        np.testing.assert_array_equal(classifier().fit(X, labels).predict_proba(X), expected)


def test_the_score_is_the_weighted_accuracy():
    estimator = classifier().fit(X, NAMES)
    weight = np.random.default_rng(0).random(150)
    expected = np.average(estimator.predict(X) == NAMES, weights=weight)
    assert estimator.score(X, NAMES, sample_weight=weight) == pytest.approx(expected)


def test_a_column_of_labels_is_taken_with_a_warning():
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        column = classifier().fit(X, Y[:, None])
    np.testing.assert_array_equal(column.predict_proba(X), classifier().fit(X, Y).predict_proba(X))


def test_probabilities_are_the_logarithms_of_one_another():
    estimator = classifier().fit(X, Y)
    probabilities = estimator.predict_proba(X)
    np.testing.assert_allclose(np.exp(estimator.predict_log_proba(X)), probabilities)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(estimator.classes_[probabilities.argmax(axis=1)], estimator.predict(X))


def test_probabilities_stay_inside_for_scores_far_out():
    estimator = classifier(hidden_units=()).fit(X, Y)
    probabilities = estimator.predict_proba(1e8 * X)
    assert probabilities.min() > 0
    assert probabilities.max() < 1
    assert np.isfinite(estimator.predict_log_proba(1e8 * X)).all()


# --- several labels a row


@pytest.mark.parametrize("form", [scipy.sparse.csr_array, scipy.sparse.csr_matrix, scipy.sparse.csc_array])
def test_indicators_may_be_sparse(form):
    dense, sparse = classifier().fit(X, MULTI), classifier().fit(X, form(MULTI))
    np.testing.assert_array_equal(sparse.predict_proba(X), dense.predict_proba(X))
    np.testing.assert_array_equal(dense.classes_, [0, 1, 2])
    assert dense.predict(X).shape == MULTI.shape
    assert sparse.score(X, form(MULTI)) == dense.score(X, MULTI)


def test_missing_labels_are_masked_out_of_loss_and_score():
    rng = np.random.default_rng(0)
    y = np.where(rng.random(MULTI.shape) < 0.3, -1, MULTI)
    y[:50] = -1
    parameters = {"n_epochs": 40, "batch_size": 10, "learning_rate": 0.02}
    estimator = classifier(**parameters).fit(X, y)
    assert np.isfinite(estimator.loss_curve_).all()
    predictions = estimator.predict(X)
    known = y >= 0
    right = ((predictions == y) | ~known).all(axis=1)[known.any(axis=1)]
    assert estimator.score(X, y) == pytest.approx(right.mean())
    assert np.mean(predictions[50:] == MULTI[50:]) > 0.8
    assert set(np.unique(predictions)) == {0, 1}


def test_rows_without_a_known_label_add_no_loss(builder):
    blank = np.full((30, 3), -1)
    parameters = {"builder": builder, "batch_size": 500, "n_epochs": 5, "dtype": "float64"}
    with_blank = classifier(**parameters).fit(np.vstack([X, X[:30] + 7]), np.vstack([MULTI, blank]))
    without = classifier(**parameters).fit(X, MULTI)
    np.testing.assert_allclose(with_blank.loss_curve_, without.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(with_blank.decision_function(X), without.decision_function(X), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_label_that_is_missing_everywhere_is_never_nan(solver):
    y = np.column_stack([MULTI[:, :2], np.full(150, -1)])
    with pytest.warns(UserWarning, match="no known value of the label 2"):
        estimator = classifier(solver=solver).fit(X, y)
    assert np.isfinite(estimator.loss_curve_).all()
    assert np.isfinite(estimator.predict_proba(X)).all()


# --- networks


def test_no_hidden_units_is_a_linear_model():
    estimator = classifier(hidden_units=()).fit(X, Y)
    (kernel,), (bias,) = estimator.coefs_, estimator.intercepts_
    assert kernel.shape == (4, 3)
    np.testing.assert_allclose(estimator.decision_function(X), X @ kernel + bias, rtol=1e-6)


def test_weights_are_in_scikit_learns_layout():
    estimator = classifier(hidden_units=(5, 3), activation="relu").fit(X, Y)
    assert [kernel.shape for kernel in estimator.coefs_] == [(4, 5), (5, 3), (3, 3)]
    assert [bias.shape for bias in estimator.intercepts_] == [(5,), (3,), (3,)]
    x = X
    for kernel, bias in zip(estimator.coefs_[:-1], estimator.intercepts_[:-1], strict=True):
        x = np.maximum(x @ kernel + bias, 0)
    expected = x @ estimator.coefs_[-1] + estimator.intercepts_[-1]
    np.testing.assert_allclose(estimator.decision_function(X), expected, rtol=1e-6, atol=1e-9)


def test_an_int_is_one_hidden_layer():
    one, other = classifier(hidden_units=5).fit(X, Y), classifier(hidden_units=(5,)).fit(X, Y)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_selu_brings_alpha_dropout():
    estimator = classifier(activation="selu", dropout=0.2).fit(X, Y)
    names = [type(stage.layer).__name__ for stage in estimator.network_.stages]
    assert "AlphaDropout" in names
    assert "Dropout" not in names
    assert np.isfinite(estimator.loss_curve_).all()


@pytest.mark.parametrize("builder", BUILDERS)  # a function of the engine's
def test_the_activation_may_be_a_function(builder):
    function = classifier(activation=tf.nn.relu, builder=builder).fit(X, Y)
    name = classifier(activation="relu", builder=builder).fit(X, Y)
    np.testing.assert_allclose(function.predict_proba(X), name.predict_proba(X), rtol=1e-9)


def test_an_activation_that_the_engine_does_not_understand_is_named():
    with pytest.raises(TypeError, match=r"activation=<ufunc 'tanh'> failed on the builder's .*or a name: 'tanh'"):
        classifier(activation=np.tanh).fit(X, Y)


def test_a_network_moves_to_another_builder():
    estimator = classifier(builder="tf", dropout=0.2).fit(X, Y)
    expected = estimator.decision_function(X)
    moved = clone(estimator).set_params(builder="keras").fit(X, Y)
    np.testing.assert_allclose(estimator.set_params(builder="keras").decision_function(X), expected, rtol=1e-5)
    assert estimator.partial_fit(X, Y).loss_curve_[-1] < estimator.loss_curve_[0]
    assert np.isfinite(moved.loss_curve_).all()


# --- partial_fit


def test_labels_unseen_by_partial_fit_are_refused():
    estimator = classifier().partial_fit(X[:100], NAMES[:100], classes=["setosa", "versicolor"])
    before = estimator.predict_proba(X)
    message = (
        r"labels that are not among the classes: \['virginica'\]; the classes are \['setosa', 'versicolor'\]. Name"
    )
    with pytest.raises(ValueError, match=message):
        estimator.partial_fit(X, NAMES)
    with pytest.raises(ValueError, match="is not the same as on the last call to partial_fit"):
        estimator.partial_fit(X, NAMES, classes=np.unique(NAMES))
    np.testing.assert_array_equal(estimator.predict_proba(X), before)
    assert estimator.n_iter_ == 1


def test_partial_fit_knows_classes_that_come_later():
    estimator = classifier(learning_rate=0.02)
    for _ in range(40):
        for rows in (slice(0, 50), slice(50, 150)):
            estimator.partial_fit(X[rows], NAMES[rows], classes=["virginica", "setosa", "versicolor"])
    np.testing.assert_array_equal(estimator.classes_, np.unique(NAMES))
    assert estimator.score(X, NAMES) > 0.6
    assert estimator.n_iter_ == 80


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_fit_that_no_sample_weighs_in_is_refused(solver):
    estimator = classifier(class_weight=dict.fromkeys(range(3), 0.0), solver=solver)
    with pytest.raises(ValueError, match=r"class_weight=\{0: 0.0, 1: .* none of the 150 samples to train on"):
        estimator.fit(X, Y)
    assert not hasattr(estimator, "network_")


def test_a_chunk_that_no_sample_weighs_in_is_refused_and_nothing_is_lost():
    estimator = classifier(class_weight={0: 0.0}).partial_fit(X, Y, classes=[0, 1, 2])
    before = estimator.predict_proba(X)
    with pytest.raises(ValueError, match=r"class_weight=\{0: 0.0\}, .* none of the 50 samples .* Weigh one"):
        estimator.partial_fit(X[:50], Y[:50])
    np.testing.assert_array_equal(estimator.predict_proba(X), before)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 1


# --- parameters and searches


def test_nested_parameters_are_got_and_set():
    estimator = MLPClassifier(solver=ffnn.Adam(beta_1=0.8))
    assert estimator.get_params()["solver__beta_1"] == 0.8
    assert estimator.set_params(solver__beta_1=0.5).solver.beta_1 == 0.5
    twin = clone(estimator)
    assert twin.solver is not estimator.solver
    assert twin.solver.beta_1 == 0.5
    with pytest.raises(ValueError, match="Invalid parameter 'beta_3'"):
        estimator.set_params(solver__beta_3=1)


def test_solvers_and_their_parameters_are_axes_of_a_grid():
    grid = [
        {"solver": [ffnn.SGD(momentum=0.5), ffnn.RMSprop(), "adam"]},
        {"solver": [ffnn.Adam()], "solver__beta_1": [0.5, 0.9]},
    ]
    estimator = classifier(n_epochs=10, learning_rate=0.02)
    search = GridSearchCV(estimator, grid, cv=3, error_score="raise").fit(X, Y)
    assert len(search.cv_results_["params"]) == 5
    assert search.best_score_ > 0.7
    assert len(set(search.cv_results_["mean_test_score"])) > 1
    assert grid[1]["solver"][0].beta_1 == 0.9


def test_roc_auc_of_binary_targets_works_in_a_search():
    y = Y > 0
    scores = cross_val_score(classifier(n_epochs=20), X, y, scoring="roc_auc", cv=3)
    assert scores.min() > 0.95


# --- quality, against scikit-learn's network at equal settings


@pytest.mark.parametrize("load", [load_iris, load_digits, load_breast_cancer], ids=lambda load: load.__name__)
def test_it_learns_as_well_as_scikit_learns(load):
    data, target = load(return_X_y=True)
    ours = MLPClassifier((32,), n_epochs=40, learning_rate=3e-3, random_state=0)
    theirs = SklearnMLPClassifier(
        hidden_layer_sizes=(32,), max_iter=40, learning_rate_init=3e-3, batch_size=64, alpha=0, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs has not converged after 40 epochs
        our_score, their_score = (
            cross_val_score(make_pipeline(StandardScaler(), model), data, target, cv=3).mean()
            for model in (ours, theirs)
        )
    assert our_score > their_score - 0.015
    assert our_score > 0.9


def test_the_first_partial_fit_of_labels_needs_all_classes():
    estimator = MLPClassifier((4,))
    with pytest.raises(ValueError, match=r"classes must be passed on the first call to partial_fit.*numpy\.unique"):
        estimator.partial_fit([[0.0], [1.0]], ["a", "b"])
    assert not hasattr(estimator, "classes_")
    # an indicator matrix has a column a label
    assert len(estimator.partial_fit([[0.0], [1.0]], [[0, 1], [1, 1]]).classes_) == 2
