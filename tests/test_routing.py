"""Metadata routing: each method gets what was asked for, through every meta-estimator, and nothing else leaks."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from ffnn import MLPClassifier, MLPRegressor

X, Y = load_digits(return_X_y=True)
X, Y = X[:240] / 16, Y[:240]
X_VAL, Y_VAL, WEIGHT_VAL = X[160:], Y[160:], np.arange(80) % 3.0
X, Y = X[:160], Y[:160]
WEIGHT = np.arange(160) % 4.0


@pytest.fixture(autouse=True)
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def classifier(**parameters):
    return MLPClassifier(**{"hidden_units": (8,), "n_epochs": 3, "random_state": 0} | parameters)


def curves(fitted):
    return fitted.loss_curve_, getattr(fitted, "validation_loss_curve_", None)


REQUESTS = {
    "fit": {"sample_weight", "X_val", "y_val", "sample_weight_val", "monitor"},
    "partial_fit": {"classes", "sample_weight", "monitor"},
    "score": {"sample_weight"},
}


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_each_method_asks_for_its_own_arguments(kind):
    requests = kind().get_metadata_routing()
    assert {m: set(getattr(requests, m).requests) for m in REQUESTS} == REQUESTS
    assert not requests.predict.requests
    assert not requests.transform.requests


def test_what_was_not_asked_for_is_refused():
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        Pipeline([("mlp", classifier())]).fit(X, Y, sample_weight=WEIGHT)
    asks = classifier().set_fit_request(sample_weight=True)  # not of score
    with pytest.raises(UnsetMetadataPassedError, match="score"):
        cross_validate(asks, X, Y, params={"sample_weight": WEIGHT}, error_score="raise")


def test_all_goes_through_a_pipeline_whose_scaler_learns_of_the_training_rows_alone():
    mlp = classifier(scoring="accuracy").set_fit_request(
        sample_weight=True, X_val=True, y_val=True, sample_weight_val="weight_val", monitor=True
    )
    mlp.set_score_request(sample_weight=True)
    scale = StandardScaler().set_fit_request(sample_weight=False)
    called = []
    pipeline = Pipeline([("scale", scale), ("mlp", mlp)], transform_input=["X_val"])
    pipeline.fit(
        X, Y, sample_weight=WEIGHT, X_val=X_VAL * 3, y_val=Y_VAL, weight_val=WEIGHT_VAL,
        monitor=lambda *of: called.append(of),
    )  # fmt: skip
    scaler = StandardScaler().fit(X)
    np.testing.assert_array_equal(pipeline[0].mean_, scaler.mean_)
    direct = classifier(scoring="accuracy").fit(
        scaler.transform(X), Y, WEIGHT, X_val=scaler.transform(X_VAL * 3), y_val=Y_VAL, sample_weight_val=WEIGHT_VAL
    )
    assert curves(pipeline[-1]) == curves(direct)
    assert len(called) == 3
    predicted = pipeline.predict(X)
    assert pipeline.score(X, Y, sample_weight=WEIGHT) == accuracy_score(Y, predicted, sample_weight=WEIGHT)


def test_weights_are_split_in_searches_and_validation_data_is_not():
    mlp = classifier().set_fit_request(sample_weight=True, X_val=True, y_val=True).set_score_request(sample_weight=True)
    cv = KFold(2)
    given = {"sample_weight": WEIGHT, "X_val": X_VAL, "y_val": Y_VAL}
    search = GridSearchCV(mlp, {"dropout": [None, 0.3]}, cv=cv).fit(X, Y, **given)
    done = cross_validate(mlp, X, Y, cv=cv, params=given, return_estimator=True)
    for i, (train, test) in enumerate(cv.split(X)):
        direct = classifier().fit(X[train], Y[train], WEIGHT[train], X_val=X_VAL, y_val=Y_VAL)
        assert curves(done["estimator"][i]) == curves(direct)
        score = direct.score(X[test], Y[test], WEIGHT[test])
        assert search.cv_results_[f"split{i}_test_score"][0] == done["test_score"][i] == score


def test_the_hidden_values_of_a_column_transformer_are_of_weighted_fits():
    mlp = classifier().set_fit_request(sample_weight=True)
    stacked = Pipeline(
        [
            ("hidden", ColumnTransformer([("mlp", mlp, slice(0, 40)), ("rest", "passthrough", slice(40, 64))])),
            ("regression", LogisticRegression(max_iter=5).set_fit_request(sample_weight=False)),
        ]
    )
    hidden = stacked[0].fit_transform(X, Y, sample_weight=WEIGHT)
    direct = classifier().fit(X[:, :40], Y, WEIGHT)
    np.testing.assert_array_equal(hidden[:, :8], direct.transform(X[:, :40]))
    np.testing.assert_array_equal(hidden[:, 8:], X[:, 40:])


def test_calibration_passes_weights_on():
    mlp = classifier().set_fit_request(sample_weight=True)
    cv = KFold(2)
    calibrated = CalibratedClassifierCV(mlp, cv=cv).fit(X, Y, sample_weight=WEIGHT)
    for one, (train, _) in zip(calibrated.calibrated_classifiers_, cv.split(X), strict=True):
        assert curves(one.estimator) == curves(classifier().fit(X[train], Y[train], WEIGHT[train]))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_several_outputs_get_the_weights_too(method):
    y = np.stack([Y % 2, Y % 3], axis=1)
    mlp = classifier().set_fit_request(sample_weight=True).set_partial_fit_request(sample_weight=True)
    classes = {"classes": [np.arange(2), np.arange(3)]} if method == "partial_fit" else {}
    both = getattr(MultiOutputClassifier(mlp), method)(X, y, sample_weight=WEIGHT, **classes)
    for k, one in enumerate(both.estimators_):
        own = {"classes": classes["classes"][k]} if classes else {}
        assert curves(one) == curves(getattr(classifier(), method)(X, y[:, k], sample_weight=WEIGHT, **own))
    regressor = MLPRegressor((8,), n_epochs=2, random_state=0)
    asking = regressor.set_fit_request(sample_weight=True).set_partial_fit_request(sample_weight=True)
    targets = X[:, [20, 30]]
    several = MultiOutputRegressor(asking)
    getattr(several, method)(X, targets, sample_weight=WEIGHT)
    alone = getattr(MLPRegressor((8,), n_epochs=2, random_state=0), method)(X, targets[:, 1], sample_weight=WEIGHT)
    assert curves(several.estimators_[1]) == curves(alone)
