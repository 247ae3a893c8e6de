"""Scores that are no numbers, curves of which a part has no validation, splits that cannot be made."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import UndefinedMetricWarning

import ffnn
from ffnn import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 5))
Y = np.digitize(X[:, 0], [-0.5, 0.5])
VAL = {"X_val": X[:30], "y_val": Y[:30]}


def classifier(**parameters):
    return MLPClassifier(**{"hidden_units": (4,), "n_epochs": 3, "random_state": 0, "learning_rate": 0.01} | parameters)


def trained(model, *arguments, **data):
    """Return the model after a fit, and the texts of the warnings of undefined scores that are ffnn's."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(*arguments, **data)
    undefined = [str(w.message) for w in caught if w.category is UndefinedMetricWarning]
    return model, [text for text in undefined if text.startswith("scoring=")]


def scores_of(*values):
    left = list(values)
    return lambda estimator, X, y: left.pop(0)


# --- NaN


def test_a_score_that_is_always_nan_is_said_once_and_the_loss_decides(builder):
    parameters = {"early_stopping": True, "n_iter_no_change": 3, "n_epochs": 40, "learning_rate": 0.1, "tol": 1e-3}
    by_score = MLPRegressor((4,), scoring="r2", builder=builder, random_state=0, **parameters)
    by_loss = MLPRegressor((4,), builder=builder, random_state=0, **parameters)
    one = {"X_val": X[:1], "y_val": X[:1, 0]}
    by_score, said = trained(by_score, X, X[:, 0], **one)
    assert len(said) == 1
    assert "scoring='r2' is NaN" in said[0]
    assert "validation_fraction" in said[0]
    by_loss.fit(X, X[:, 0], **one)
    assert np.isnan(by_score.validation_scores_).all()
    assert by_score.best_epoch_ == by_loss.best_epoch_ == np.argmin(by_score.validation_loss_curve_)
    assert by_score.n_iter_ == by_loss.n_iter_ < 40
    np.testing.assert_array_equal(by_score.coefs_[0], by_loss.coefs_[0])


def test_the_first_score_takes_over_from_the_loss():
    nan = np.nan
    parameters = {"early_stopping": True, "n_iter_no_change": 2, "n_epochs": 7}
    model, said = trained(classifier(scoring=scores_of(nan, nan, 0.1, 0.4, nan, nan, 0.3), **parameters), X, Y, **VAL)
    assert (model.best_epoch_, model.n_iter_) == (3, 7)  # NaN counts neither way: two of them do not stop it
    assert len(said) == 1
    best = classifier(n_epochs=4).fit(X, Y)
    np.testing.assert_array_equal(model.coefs_[0], best.coefs_[0])


def test_a_score_of_minus_infinity_has_a_best_epoch():
    model, said = trained(classifier(scoring=lambda *_: -np.inf), X, Y, **VAL)
    assert (model.best_epoch_, said) == (0, [])


@pytest.mark.parametrize("score", ["0.9", None, [0.5, 0.2], {"a": 1.0}, 1j], ids=str)
def test_a_scorer_must_return_a_number(score):
    model = classifier(scoring=lambda e, X, y: score)
    with pytest.raises(TypeError, match=r"scoring=.* returned .*expected a number, got \w+. Return a float"):
        model.fit(X, Y, **VAL)
    assert not hasattr(model, "classes_")


@pytest.mark.parametrize("score", [1, True, np.float32(0.5), np.array(0.5), np.array([0.5])], ids=repr)
def test_numbers_of_all_kinds_are_scores(score):
    model = classifier(scoring=lambda e, X, y: score).fit(X, Y, **VAL)
    assert model.validation_scores_ == [float(np.ravel(score)[0])] * 3


# --- curves


def assert_curves(model, loss=None, scores=None):
    """Check in which epochs there was validation: 1 where there was, . where not."""
    assert len(model.loss_curve_) == model.n_iter_
    for name, there in (("validation_loss_curve_", loss), ("validation_scores_", scores)):
        assert hasattr(model, name) is (there is not None)
        if there is not None:
            assert "".join(".1"[int(np.isfinite(v))] for v in getattr(model, name)) == there
            assert len(there) == model.n_iter_
            assert {type(value) for value in getattr(model, name)} == {float}


def test_all_curves_count_the_same_epochs(tmp_path):
    model = classifier(warm_start=True).fit(X, Y)
    assert not hasattr(model, "validation_loss_curve_")
    model.set_params(early_stopping=True, n_epochs=2, scoring="accuracy").fit(X, Y)
    assert_curves(model, "...11", "...11")
    assert model.best_epoch_ == 3 + np.argmax(model.validation_scores_[3:])
    model.set_params(scoring="loss").fit(X, Y)
    assert_curves(model, "...1111", "...11..")
    assert model.best_epoch_ == 5 + np.argmin(model.validation_loss_curve_[5:])
    model.set_params(early_stopping=False).fit(X, Y).partial_fit(X, Y)
    assert_curves(model, "...1111...", "...11.....")
    assert model.validation_loss_curve_[model.best_epoch_] == np.nanmin(model.validation_loss_curve_[5:])
    ffnn.save(model, tmp_path / "model.ffnn")
    assert_curves(ffnn.load(tmp_path / "model.ffnn").partial_fit(X, Y), "...1111....", "...11......")
    plain = model.set_params(warm_start=False).fit(X, Y)
    assert not hasattr(plain, "validation_loss_curve_")


def test_a_fit_that_fails_leaves_the_curves():
    model = classifier(warm_start=True).fit(X, Y)
    with pytest.raises(ZeroDivisionError):
        model.fit(X, Y, monitor=lambda *_: 1 / 0, **VAL)
    assert_curves(model)


def test_the_display_draws_the_epochs_that_had_validation():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    model = classifier(warm_start=True).fit(X, Y).fit(X, Y, **VAL)
    lines = ffnn.LossCurveDisplay.from_estimator(model).lines_
    epochs, losses = lines[1].get_data()
    assert epochs[np.isfinite(losses)].tolist() == [4, 5, 6]
    assert lines[2].get_xdata()[0] == model.best_epoch_ + 1
    arrays = ffnn.LossCurveDisplay(loss_curve=np.ones(2), validation_loss_curve=np.ones(2)).plot()
    assert len(arrays.lines_) == 2
    pyplot.close("all")


# --- splits


@pytest.mark.parametrize(
    ("y", "fraction", "message"),
    [
        (np.arange(90), 0.1, r"there is one sample of each class.*; or pass X_val"),
        (np.arange(90) % 20, 0.1, r"9 set apart would not have all 20 classes. Raise it to 0.2223; or pass"),
        (np.arange(90) % 20, 0.9, r"9 left to train on would not have all 20 classes. Lower it to 0.7777; or pass"),
    ],
)
def test_a_split_that_cannot_be_made_says_what_helps(y, fraction, message):
    model = classifier(early_stopping=True, validation_fraction=fraction, n_epochs=1)
    with pytest.raises(ValueError, match=message) as raised:
        model.fit(X, y)
    words = str(raised.value).split(" it to ")
    if len(words) > 1:
        model.set_params(validation_fraction=float(words[1].partition(";")[0])).fit(X, y)


@pytest.mark.parametrize(
    "y", [np.repeat([0, 1], [89, 1]), np.repeat([0, 1, 2], [44, 45, 1])], ids=["binary", "multiclass"]
)
def test_the_only_sample_of_a_class_is_trained_on(y):
    """As in a fold of a time series."""
    model = classifier(early_stopping=True, n_epochs=2).fit(X, y)
    assert model.classes_.tolist() == np.unique(y).tolist()
    assert model.predict_proba(X).shape == (90, len(model.classes_))


def test_an_answer_of_a_monitor_that_is_no_bool_is_named():
    with pytest.raises(TypeError, match=r"(?s)monitor returned array.*expected True to stop"):
        classifier(n_epochs=2).fit(X, Y, monitor=lambda epoch, estimator, stats: estimator.predict(X))


def test_a_score_that_no_float_can_hold_is_named():
    with pytest.raises(ValueError, match="scoring=.* returned a number .* that no float can hold"):
        classifier(n_epochs=2, scoring=lambda *args, **kwargs: 10**400).fit(X, Y, **VAL)


def test_weights_of_zero_on_one_side_say_what_helps():
    weight = np.zeros(90)
    weight[:2] = 1
    for fraction, remedy in ((0.02, "set apart have only weights of zero. Raise"), (0.9, "left to train on.*Lower")):
        with pytest.raises(ValueError, match=remedy):
            MLPRegressor(early_stopping=True, validation_fraction=fraction, random_state=0).fit(
                X, Y, sample_weight=weight
            )
    weight[1] = 0
    with pytest.raises(ValueError, match="weights of zero. Pass X_val and y_val"):
        MLPRegressor(early_stopping=True, random_state=0).fit(X, Y, sample_weight=weight)
