"""Folds, bootstraps and weights that leave a classifier fewer classes than the whole data has."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.model_selection import GridSearchCV, KFold, TimeSeriesSplit, cross_val_predict, cross_val_score

import ffnn
from ffnn import MLPClassifier
from ffnn_plugins.outputs.binary import BinaryOutput
from ffnn_plugins.outputs.multiclass import MulticlassOutput

X, Y = load_iris(return_X_y=True)
RARE = (np.arange(40) == 39).astype(int)  # a single sample of class 1, the last
NAMES = np.array(["pear", "fig"])[RARE]
X40 = X[60:100]


def classifier(**parameters):
    return MLPClassifier(**{"hidden_units": (4,), "n_epochs": 2, "random_state": 0} | parameters)


def check_only(fitted, X, label):
    assert set(fitted.predict(X)) == {label}
    assert fitted.decision_function(X).shape[0] == len(X)
    probabilities = fitted.predict_proba(X)
    assert probabilities.shape == (len(X), len(fitted.classes_))
    np.testing.assert_array_equal(fitted.classes_[probabilities.argmax(axis=1)], label)
    np.testing.assert_allclose(probabilities.max(axis=1), 1)
    assert (probabilities > 0).all()
    assert (probabilities < 1).all()


# --- one class left


@pytest.mark.parametrize("output", ["auto", BinaryOutput(loss="focal"), MulticlassOutput(label_smoothing=0.1)])
def test_a_classifier_of_one_class_predicts_it(output):
    fitted = classifier(output_layer=output).fit(X40, np.full(40, "fig"))
    assert fitted.classes_.tolist() == ["fig"]
    assert fitted.decision_function(X40).shape == (40,)
    assert np.isfinite(fitted.loss_curve_).all()
    check_only(fitted, X40, "fig")


def test_the_other_builder_and_lbfgs_take_one_class_too():
    for parameters in ({"builder": "keras"}, {"solver": "lbfgs"}, {"early_stopping": True}):
        check_only(classifier(**parameters).fit(X40, np.full(40, 7)), X40, 7)


@pytest.mark.parametrize("weights", ["sample_weight", "class_weight"])
def test_classes_that_weigh_nothing_stay_classes_and_are_never_predicted(weights):
    if weights == "sample_weight":
        fitted = classifier().fit(X, Y, sample_weight=(Y == 1) * 2.0)
    else:
        fitted = classifier(class_weight={0: 0.0, 2: 0}).fit(X, Y)
    assert fitted.classes_.tolist() == [0, 1, 2]
    check_only(fitted, X, 1)
    assert fitted.decision_function(X).shape == (150, 3)
    two = classifier().fit(X, Y > 0, sample_weight=Y == 0)
    assert two.decision_function(X).shape == (150,)
    check_only(two, X, False)


def test_what_a_later_call_brings_counts():
    fitted = classifier(warm_start=True, learning_rate=0.02, n_epochs=40)
    fitted.fit(X, Y, sample_weight=Y == 1)
    fitted.partial_fit(X[50:100], Y[50:100])
    check_only(fitted, X, 1)
    fitted.fit(X, Y)
    assert set(fitted.predict(X)) == {0, 1, 2}


def test_a_chunk_of_one_class_does_not_make_partial_fit_sure():
    told = classifier().partial_fit(X[:50], Y[:50], classes=[0, 1, 2])
    assert told.predict_proba(X).max() < 0.99
    check_only(classifier().partial_fit(X[:50], Y[:50], classes=[0]), X, 0)


def test_a_classifier_of_one_class_travels(tmp_path):
    fitted = classifier().fit(X, Y, sample_weight=Y == 1)
    ffnn.save(fitted, tmp_path / "one.ffnn")
    check_only(ffnn.load(tmp_path / "one.ffnn"), X, 1)
    pytest.importorskip("skl2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    for y, weight in ((Y, Y == 1), (np.ones_like(Y), None), (Y > 0, Y == 0)):
        fitted = classifier().fit(X, y, sample_weight=weight)
        ffnn.export(fitted, tmp_path / "one.onnx", format="onnx", X=X)
        session = onnxruntime.InferenceSession(tmp_path / "one.onnx")
        (entry,) = session.get_inputs()
        kind = np.float64 if "double" in entry.type else np.float32
        label, probabilities = session.run(["label", "probabilities"], {entry.name: X.astype(kind)})
        np.testing.assert_array_equal(label, fitted.predict(X))
        np.testing.assert_allclose(probabilities, fitted.predict_proba(X), rtol=1e-12)


# --- inside other people's loops


def test_bagging_and_boosting_take_bootstraps_without_the_rare_class():
    for ensemble in (
        BaggingClassifier(classifier(), n_estimators=4, random_state=0),
        BaggingClassifier(classifier(), n_estimators=2, max_samples=4, bootstrap=False, random_state=0),
        AdaBoostClassifier(classifier(), n_estimators=2, random_state=0),
    ):
        assert ensemble.fit(X40, NAMES).predict_proba(X40).shape == (40, 2)


def test_folds_in_order_are_scored():
    y = np.sort(Y)  # one class, then two, then three
    scores = cross_val_score(classifier(), X, y, cv=TimeSeriesSplit(4), error_score="raise")
    assert np.isfinite(scores).all()
    with pytest.warns(RuntimeWarning, match="Number of classes in training fold"):
        probabilities = cross_val_predict(classifier(), X40, RARE, cv=KFold(4), method="predict_proba")
    assert probabilities.shape == (40, 2)
    np.testing.assert_allclose(probabilities[30:], [[1, 0]] * 10)  # trained without the rare class


def test_class_weights_may_name_classes_that_a_fold_lacks():
    grid = {"class_weight": [None, "balanced", {"fig": 10.0}, {"fig": 10, "pear": 1, "kiwi": 3}]}
    search = GridSearchCV(classifier(), grid, cv=KFold(4), error_score="raise").fit(X40, NAMES)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_class_weights_by_another_type_of_label_are_refused():
    for y, weights in ((RARE, {"1": 2.0}), (NAMES, {1: 2.0})):
        with pytest.raises(ValueError, match=r"class_weight has the classes .* which cannot be in y: its classes are"):
            classifier(class_weight=weights).fit(X40, y)
    with pytest.raises(ValueError, match=r"class_weight\['kiwi'\]=-1"):
        classifier(class_weight={"kiwi": -1}).fit(X40, NAMES)


def test_balanced_weights_are_those_of_the_classes_that_are_there():
    weight = np.where(Y == 2, 0.0, 1.0)
    left_out = classifier(class_weight="balanced").fit(X[:100], Y[:100], X_val=X[90:], y_val=np.minimum(Y[90:], 1))
    zeroed = classifier(class_weight="balanced").fit(X, Y, sample_weight=weight, X_val=X[90:], y_val=Y[90:])
    assert left_out.n_iter_ == zeroed.n_iter_
    np.testing.assert_allclose(zeroed.network_.output.class_weights_, 1)
    assert max(zeroed.validation_loss_curve_) < 10


# --- what is said


@pytest.mark.parametrize("classes", [[], 3, "abc", [np.nan, 1.0], [[0, 1], [1, 2]], [0, "a", None]])
def test_classes_that_are_no_labels_are_refused_by_name(classes):
    with pytest.raises(ValueError, match=r"classes=.*Give all labels of all calls"):
        classifier().partial_fit(X, Y, classes=classes)
