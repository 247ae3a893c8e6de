"""Mixed precision, as a user of the estimators sees it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import ffnn
from ffnn import MLPClassifier, MLPRegressor

X, Y = load_digits(return_X_y=True)
X_TRAIN, X_TEST, Y_TRAIN, Y_TEST = train_test_split(X / 16, Y, random_state=0)


def classifier(**parameters):
    return MLPClassifier((64,), **{"n_epochs": 15, "random_state": 0, "dropout": 0.2, **parameters})


@pytest.mark.parametrize("builder", ["tf", "keras"])
@pytest.mark.parametrize("matrix", [np.asarray, scipy.sparse.csr_array], ids=["dense", "sparse"])
def test_mixed_precision_learns_as_well(builder, matrix):
    estimators = [
        classifier(builder=builder, dtype=dtype).fit(matrix(X_TRAIN), Y_TRAIN)
        for dtype in ("float32", "mixed_bfloat16")
    ]
    scores = [estimator.score(matrix(X_TEST), Y_TEST) for estimator in estimators]
    assert min(scores) > 0.9
    assert abs(scores[0] - scores[1]) < 0.02
    mixed = estimators[1]
    assert mixed.network_.dtype == "float32"
    assert {array.dtype for array in [*mixed.coefs_, *mixed.intercepts_]} == {np.dtype("float32")}
    probabilities = [estimator.predict_proba(matrix(X_TEST)) for estimator in estimators]
    assert probabilities[1].dtype == probabilities[0].dtype
    np.testing.assert_allclose(probabilities[1].sum(1), 1, rtol=1e-6)
    np.testing.assert_array_equal(mixed.predict_proba(matrix(X_TEST[:3])), probabilities[1][:3])


def test_it_travels_and_goes_on(tmp_path):
    estimator = classifier(dtype="mixed_bfloat16", n_epochs=2).fit(X_TRAIN, Y_TRAIN)
    ffnn.save(estimator, tmp_path / "mixed.ffnn")
    twins = [pickle.loads(pickle.dumps(estimator)), ffnn.load(tmp_path / "mixed.ffnn")]
    expected = estimator.partial_fit(X_TRAIN, Y_TRAIN).decision_function(X_TEST)
    for twin in twins:
        assert twin.network_.compute_dtype == "bfloat16"
        np.testing.assert_array_equal(twin.partial_fit(X_TRAIN, Y_TRAIN).decision_function(X_TEST), expected)
    moved = estimator.set_params(builder="keras").decision_function(X_TEST)
    np.testing.assert_allclose(moved, expected, atol=0.02 * np.abs(expected).max())


def test_a_keras_model_shows_its_policy():
    model = classifier(builder="keras", dtype="mixed_bfloat16", n_epochs=1).fit(X_TRAIN, Y_TRAIN).model_
    policies = {layer.name: layer.dtype_policy.name for layer in model.layers}
    assert policies["hidden1_affine"] == "mixed_bfloat16"
    assert policies["output_affine"] == "float32"


def test_a_line_search_is_refused():
    with pytest.raises(
        ValueError, match="dtype='mixed_bfloat16' cannot be used with solver='lbfgs'.* Use dtype='auto'"
    ):
        MLPRegressor(dtype="mixed_bfloat16", solver="lbfgs").fit(X, Y)
