"""The unit of sample weights means nothing; targets that say nothing are refused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from ffnn import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 5))
Y = np.digitize(X[:, 0], [-0.5, 0.5])
WEIGHT = RNG.integers(0, 4, 90).astype(float)


def classifier(**parameters):
    defaults = {"hidden_units": (4,), "n_epochs": 2, "batch_size": 30, "dtype": "float32", "random_state": 0}
    return MLPClassifier(**defaults | parameters)


def assert_same(one, other):
    for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.loss_curve_ == other.loss_curve_


@pytest.mark.parametrize("unit", [2.0**-140, 2.0**120, 2.0**-1060, 2.0**1020], ids=str)
@pytest.mark.parametrize(
    "parameters",
    [{"weight_decay": 0.1}, {"class_weight": "balanced"}, {"class_weight": {0: 3.0, 2: 0.5}}, {"solver": "lbfgs"},
     {"block": ("affine", "batch_norm", "activation")}],
    ids=str,
)  # fmt: skip
def test_the_unit_of_weights_does_not_matter(unit, parameters):
    model = classifier(**parameters)
    assert_same(model.fit(X, Y, sample_weight=WEIGHT * unit), classifier(**parameters).fit(X, Y, sample_weight=WEIGHT))


@pytest.mark.parametrize("unit", [1e-42, 1e36, 1e-320, 1e307])
def test_weights_of_any_size_teach_the_same(builder, unit):
    scaled, plain = (classifier(builder=builder, n_epochs=10, learning_rate=0.01) for _ in range(2))
    scaled.fit(X, Y, sample_weight=WEIGHT * unit, X_val=X, y_val=Y, sample_weight_val=WEIGHT * unit)
    plain.fit(X, Y, sample_weight=WEIGHT, X_val=X, y_val=Y, sample_weight_val=WEIGHT)
    rtol = 1e-3 if unit == 1e-320 else 1e-5  # the weights themselves have few digits there
    np.testing.assert_allclose(scaled.loss_curve_, plain.loss_curve_, rtol=rtol)
    np.testing.assert_allclose(scaled.validation_loss_curve_, plain.validation_loss_curve_, rtol=rtol)
    assert plain.loss_curve_[-1] < plain.loss_curve_[0]


def test_each_call_has_a_unit_of_its_own():
    one, other = classifier(), classifier()
    for unit in (1.0, 2.0**-140, 2.0**100):
        one.partial_fit(X, Y, classes=[0, 1, 2], sample_weight=WEIGHT * unit)
        other.partial_fit(X, Y, classes=[0, 1, 2], sample_weight=WEIGHT)
    assert_same(one, other)


def test_a_weight_for_all_is_no_weight():
    assert_same(
        classifier(weight_decay=0.1).fit(X, Y, sample_weight=np.full(90, 7.3)), classifier(weight_decay=0.1).fit(X, Y)
    )


def test_the_unit_of_the_weights_of_labels_does_not_matter():
    y = np.stack([Y > 1, Y > 0], axis=1).astype(int)
    weights = [{0: 3.0, 1: 1.0}, {0: 1.0, 1: 7.0}]
    tiny = [{value: w * 2.0**-145 for value, w in of_label.items()} for of_label in weights]
    assert_same(classifier(class_weight=tiny).fit(X, y), classifier(class_weight=weights).fit(X, y))


def test_l_bfgs_learns_nothing_of_what_is_set_apart():
    held = []
    spy = classifier(solver="lbfgs", n_epochs=1, early_stopping=True, scoring=lambda e, X, y: held.append(X) or 0.0)
    spy.fit(X, Y)
    apart = np.array([(row.astype("float32") == held[0]).all(axis=1).any() for row in X])
    assert apart.sum() == 9
    other = np.where(apart[:, None], RNG.normal(size=X.shape), X)
    fits = [classifier(solver="lbfgs", n_epochs=1, early_stopping=True).fit(x, Y) for x in (X, other)]
    assert_same(*fits)


# --- nothing to learn from

UNKNOWN = np.full((90, 3), -1)


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_labels_that_are_all_unknown_are_refused(form, method):
    model = classifier()
    with pytest.raises(ValueError, match="y has no known label.*-1.*Leave out the call"):
        getattr(model, method)(X, form(UNKNOWN))
    assert not hasattr(model, "classes_")
    y = np.stack([Y > 1, Y > 0, Y > 0], axis=1).astype(int)
    with pytest.raises(ValueError, match="y has no known label"):  # but where it weighs nothing
        getattr(model, method)(X, form(np.where(WEIGHT[:, None] > 0, UNKNOWN, y)), sample_weight=WEIGHT)
    getattr(model, method)(X, form(y))
    with pytest.raises(ValueError, match="y has no known label"):
        getattr(model.set_params(warm_start=True), method)(X, form(UNKNOWN))


def test_weights_of_labels_that_are_all_zero_are_refused():
    y = np.stack([Y > 1, Y > 0], axis=1).astype(int)
    with pytest.raises(ValueError, match="no known label of positive weight.*class_weight="):
        classifier(class_weight=[{0: 0.0, 1: 0.0}] * 2).fit(X, y)


def test_validation_data_of_nothing_but_unknown_labels_is_refused():
    y = np.stack([Y > 1, Y > 0, Y > 0], axis=1).astype(int)
    with pytest.raises(ValueError, match="validation data has no known label"):
        classifier().fit(X, y, X_val=X, y_val=UNKNOWN)
    with pytest.raises(ValueError, match="validation data has no.*weight"):
        classifier(class_weight={0: 0.0}).fit(X, Y, X_val=X[Y == 0], y_val=Y[Y == 0])


def test_a_label_that_is_never_known_is_said(recwarn):
    y = np.stack([Y > 1, Y > 0, np.full(90, -1)], axis=1).astype(int)
    with pytest.warns(UserWarning, match=r"y has no known value of the label 2"):
        classifier().fit(X, y)
    recwarn.clear()
    classifier().partial_fit(X, y)  # another part of the data may know it
    MLPRegressor((4,), n_epochs=1).fit(X, y.astype(float))
    assert not recwarn.list
