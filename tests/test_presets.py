"""The presets: what they are set to, that they are estimators like others, and that each learns."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.neural_network import MLPClassifier as SklearnClassifier
from sklearn.neural_network import MLPRegressor as SklearnRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import ffnn
from ffnn import presets

KINDS = ("classifier", "regressor")
PRESETS = [getattr(presets, name) for name in presets.__all__]
CANCER = load_breast_cancer(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
WORDS = {"red": "warm", "orange": "warm", "yellow": "warm", "green": "cold", "blue": "cold", "violet": "cold"}


def texts(n=240):
    rng = np.random.default_rng(0)
    told = rng.choice(list(WORDS), n)
    noise = rng.choice(["and", "the", "with", "from", "into", "over"], (n, 6))
    return [" ".join([*row, word]) for row, word in zip(noise, told, strict=True)], np.array([WORDS[w] for w in told])


def mlp(estimator):
    return estimator["mlp"] if isinstance(estimator, Pipeline) else estimator


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("preset", PRESETS, ids=lambda p: p.__name__)
def test_a_preset_is_an_estimator_like_others(preset, kind):
    made = preset(kind, random_state=3, n_epochs=5)
    assert is_classifier(made) == (kind == "classifier")
    assert is_regressor(made) == (kind == "regressor")
    assert (mlp(made).random_state, mlp(made).n_epochs) == (3, 5)
    assert repr(clone(made)) == repr(made)
    assert repr(pickle.loads(pickle.dumps(made))) == repr(made)
    assert preset(kind) is not preset(kind)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda p: p.__name__)
def test_a_wrong_kind_or_parameter_is_refused(preset):
    with pytest.raises(ValueError, match="kind='clasifier' is not known. Did you mean 'classifier'"):
        preset("clasifier")
    with pytest.raises(ValueError, match="MLPClassifier has no parameter 'epochs'. Use n_epochs"):
        preset(epochs=3)


def test_a_name_is_a_steps_where_it_begins_with_one():
    made = presets.text(tfidf__max_features=7, solver__beta_1=0.8, learning_rate__initial=0.5)
    assert made["tfidf"].max_features == 7
    assert (made["mlp"].solver.beta_1, made["mlp"].learning_rate.initial) == (0.8, 0.5)


@pytest.mark.parametrize(("kind", "peer"), [("classifier", SklearnClassifier), ("regressor", SklearnRegressor)])
def test_the_settings_of_scikit_learn_are_its_defaults(kind, peer):
    ours, theirs = presets.sklearn(kind), peer()
    assert ours.hidden_units == theirs.hidden_layer_sizes
    assert (ours.activation, ours.learning_rate, ours.n_epochs) == (
        theirs.activation,
        theirs.learning_rate_init,
        theirs.max_iter,
    )
    for name in ("beta_1", "beta_2", "epsilon"):
        assert getattr(ours.solver, name) == getattr(theirs, name)
    assert ours.weight_decay * ours.batch_size == pytest.approx(theirs.alpha)
    assert (ours.n_iter_no_change - 1, ours.tol) == (theirs.n_iter_no_change, theirs.tol)


def test_it_stops_in_the_epoch_in_which_scikit_learn_does_and_scores_the_same():
    X = StandardScaler().fit_transform(CANCER[0])[:400]
    y = CANCER[1][:400]
    ours = [presets.sklearn(random_state=seed, tol=2e-3).fit(X, y) for seed in range(3)]
    theirs = [SklearnClassifier(random_state=seed, tol=2e-3).fit(X, y) for seed in range(3)]
    assert np.mean([e.n_iter_ for e in ours]) == pytest.approx(np.mean([e.n_iter_ for e in theirs]), rel=0.15)
    losses = [np.mean([e.loss_curve_[15] for e in them]) for them in (ours, theirs)]
    assert losses[0] == pytest.approx(losses[1], rel=0.15)


@pytest.mark.parametrize("preset", [presets.talk, presets.text], ids=lambda p: p.__name__)
def test_texts_are_classified(preset):
    X, y = texts()
    made = preset(n_epochs=10, random_state=0).fit(X[:160], y[:160])
    assert made.score(X[160:], y[160:]) > 0.95
    features = made[:-1].transform(X)
    alone = preset(n_epochs=10, random_state=0).set_params(**{made.steps[0][0]: "passthrough"})
    assert alone.fit(features[:160], y[:160]).score(features[160:], y[160:]) > 0.95


def test_texts_are_measured():
    X, y = texts()
    made = presets.text("regressor", n_epochs=20, random_state=0).fit(X[:160], (y == "warm")[:160] * 10.0)
    assert made.score(X[160:], (y == "warm")[160:] * 10.0) > 0.9


def test_the_modern_preset_learns_tables():
    made = presets.modern(random_state=0, n_epochs=64)
    assert cross_val_score(made, *CANCER, cv=2, error_score="raise").min() > 0.95
    made = presets.modern("regressor", random_state=0, n_epochs=64)
    assert cross_val_score(made, *DIABETES, cv=2, error_score="raise").min() > 0.4


def test_the_modern_preset_takes_a_frame_of_numbers_and_categories():
    rng = np.random.default_rng(0)
    n = 300
    frame = pd.DataFrame(
        {
            "x": rng.lognormal(size=n) ** 3,
            "kind": rng.choice(["a", "b", "c"], n),
            "flag": rng.choice([True, False], n),
        }
    )
    y = ((frame["kind"] == "a") ^ frame["flag"]).map({True: "yes", False: "no"})
    train, test, y_train, y_test = train_test_split(frame, y, random_state=0)
    made = presets.modern(random_state=0, n_epochs=64).fit(train, y_train)
    assert made.score(test, y_test) > 0.95
    assert made[:-1].transform(frame).shape == (n, 5)
    unseen = test.assign(kind="d")
    with pytest.warns(UserWarning, match="unknown categories"):
        assert set(made.predict(unseen)) <= {"yes", "no"}


def test_the_modern_network_begins_by_saying_the_same_of_all():
    X, y = CANCER
    made = presets.modern(n_epochs=1, learning_rate=1e-12, random_state=0).fit(X, y)
    np.testing.assert_allclose(made.predict_proba(X), 0.5, atol=1e-6)
    stages = [stage.name for stage in made["mlp"].network_.stages]
    assert stages[:3] == ["input", "hidden1.ntkaffine", "hidden1.activation"]
    assert stages[-1] == "output.ntkaffine"


def test_both_builders_train_the_modern_network_the_same():
    X, y = DIABETES
    curves = [
        presets.modern("regressor", n_epochs=5, hidden_units=(32,), dtype="float64", builder=builder, random_state=0)
        .fit(X, y)["mlp"]
        .loss_curve_
        for builder in ("tf", "keras")
    ]
    np.testing.assert_allclose(*curves, rtol=1e-9)


def test_a_presets_parameters_are_axes_of_a_grid():
    search = GridSearchCV(
        presets.modern(n_epochs=4, random_state=0),
        {
            "mlp__hidden_units": [(8,)],
            "mlp__learning_rate__maximum": [0.02, 0.04],
            "mlp__output_layer__label_smoothing": [0.0],
            "clip__limit": [2.0],
        },
        cv=2,
        error_score="raise",
    ).fit(*CANCER)
    assert search.best_estimator_["mlp"].output_layer.label_smoothing == 0
    assert search.best_estimator_["clip"].limit == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("preset", [presets.sklearn, presets.modern], ids=lambda p: p.__name__)
def test_the_network_of_a_preset_is_saved(preset, kind, tmp_path):
    X, y = CANCER if kind == "classifier" else DIABETES
    made = make_pipeline(StandardScaler(), mlp(preset(kind, n_epochs=2, random_state=0))).fit(X, y)
    ffnn.save(made[-1], tmp_path / "kept.ffnn")
    again = ffnn.load(tmp_path / "kept.ffnn")
    Z = made[0].transform(X)
    np.testing.assert_array_equal(again.predict(Z), made.predict(X))
    assert repr(again) == repr(made[-1])
