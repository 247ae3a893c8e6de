"""The main job: scikit-learn's search over networks of both engines, on worker processes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ffnn
from ffnn import MLPClassifier

GRID = {
    "mlpclassifier__hidden_units": [(), (16,)],
    "mlpclassifier__dropout": [None, 0.2],
    "mlpclassifier__builder": ["tf", "keras"],
}


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_breast_cancer(return_X_y=True)
    return X[:300], np.array(["malignant", "benign"], dtype=object)[y[:300]]


def a_search(**parameters: object) -> GridSearchCV:
    mlp = MLPClassifier(n_epochs=3, learning_rate=0.02, random_state=0)
    search = GridSearchCV(make_pipeline(StandardScaler(), mlp), GRID, scoring="roc_auc", cv=3)
    return search.set_params(**parameters)


def fold_scores(search: GridSearchCV) -> np.ndarray:
    """The score of each candidate on each fold, of shape (n_candidates, n_folds)."""
    return np.stack([search.cv_results_[f"split{i}_test_score"] for i in range(search.n_splits_)], axis=1)


@pytest.mark.slow
def test_two_workers_give_the_scores_that_are_found_here(data):
    serial = a_search().fit(*data)
    mlp = MLPClassifier((8,), n_epochs=2, dropout=0.3, random_state=7)
    here = cross_val_score(mlp, *data, cv=3, scoring="neg_log_loss")
    with ffnn.pool("multiprocessing", n_workers=2, progress=False) as pool:
        distributed = a_search().fit(*data)
        summary = pool.summary()
        there = cross_val_score(mlp, *data, cv=3, scoring="neg_log_loss")
    assert fold_scores(serial).shape == (8, 3)
    np.testing.assert_array_equal(fold_scores(distributed), fold_scores(serial))
    assert distributed.best_params_ == serial.best_params_
    np.testing.assert_array_equal(distributed.predict_proba(data[0]), serial.predict_proba(data[0]))
    assert fold_scores(serial).max() > 0.95  # and they are scores of networks that learned
    assert "24 tasks on 2 workers" in summary
    # random_state gives the same draws on a worker as here
    np.testing.assert_array_equal(there, here)


def test_a_candidate_that_cannot_be_fitted_costs_only_itself(data):
    search = a_search(param_grid={"mlpclassifier__hidden_units": [(4,), (0,)]}, error_score=-1.0)
    with pytest.warns(FitFailedWarning, match="expected positive integers, got 0"):
        search.fit(*data)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] > 0.5
    assert scores[1] == -1.0
