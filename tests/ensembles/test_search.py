"""The ensemble of a search's models: what it predicts, how it is scored, what it refuses."""

from __future__ import annotations

import pickle
import warnings

import joblib
import numpy as np
import pandas
import pytest
import scipy.sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.cluster import KMeans
from sklearn.datasets import (
    load_diabetes,
    load_iris,
    load_wine,
    make_multilabel_classification,
)
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - makes the search importable
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    PredefinedSplit,
    RandomizedSearchCV,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

import ffnn
from benchmarks.ensembles import DATA, scores

IRIS = scale(load_iris().data), load_iris().target
DIABETES = load_diabetes(return_X_y=True)
FOLDS = StratifiedKFold(3, shuffle=True, random_state=0)
C = {"C": [0.01, 0.1, 1.0, 10.0]}


def logistic(**options):
    return GridSearchCV(LogisticRegression(max_iter=2000), C, **{"cv": FOLDS, **options})


class Memory(RegressorMixin, BaseEstimator):
    """Predicts 1 for a row that it was trained on, else 0."""

    def __init__(self, unused=0):
        self.unused = unused

    def fit(self, X, y):
        self.rows_ = {row.tobytes() for row in np.asarray(X)}
        return self

    def predict(self, X):
        return np.array([float(row.tobytes() in self.rows_) for row in np.asarray(X)])


class Fails(ClassifierMixin, BaseEstimator):
    """Cannot be fitted with how="always", nor with how="once" where the first row is missing."""

    def __init__(self, how="never"):
        self.how = how

    def fit(self, X, y):
        if self.how == "always" or (self.how == "once" and not (np.asarray(X) == IRIS[0][0]).all(axis=1).any()):
            raise ArithmeticError("on purpose")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        if self.how == "predict":
            raise ArithmeticError("on purpose, in predict")
        return np.full(len(X), self.classes_[0])


# --- what takes part, and what it predicts


def test_the_models_are_those_of_the_search():
    X, y = IRIS
    model = ffnn.ensemble(logistic(), top=2).fit(X, y)
    expected = [
        LogisticRegression(C=c, max_iter=2000).fit(X[train], y[train]).coef_
        for c in (np.array(C["C"])[model.candidates_])
        for train, _ in FOLDS.split(X, y)
    ]
    np.testing.assert_array_equal([one.coef_ for one in model.estimators_], expected)


def test_it_takes_the_best_candidates_and_leaves_the_search_as_it_would_be():
    X, y = IRIS
    search = logistic(scoring="neg_log_loss")
    model = ffnn.ensemble(search, top=2).fit(X, y)
    alone = clone(search).set_params(return_train_score=False).fit(X, y)
    assert not hasattr(search, "cv_results_")
    np.testing.assert_array_equal(model.candidates_, np.argsort(alone.cv_results_["rank_test_score"])[:2])
    results = model.search_.cv_results_
    assert results.keys() == alone.cv_results_.keys()
    for name in ("mean_test_score", "split2_test_score", "rank_test_score"):
        np.testing.assert_array_equal(results[name], alone.cv_results_[name])
    assert (model.search_.best_params_, model.search_.best_score_) == (alone.best_params_, alone.best_score_)
    assert model.search_.score(X, y) == alone.score(X, y)
    assert model.search_.get_params()["scoring"] == "neg_log_loss"


def test_its_probabilities_are_the_mean_and_its_classes_the_most_probable():
    X, y = load_wine(return_X_y=True)
    names = np.array(["red", "rose", "white"])[y]
    pipeline = make_pipeline(StandardScaler(), ffnn.MLPClassifier(n_epochs=5, random_state=0))
    search = GridSearchCV(pipeline, {"mlpclassifier__hidden_units": [(4,), (8,), (16,)]}, cv=FOLDS)
    model = ffnn.ensemble(search, top=2).fit(X, names)
    assert len(model.estimators_) == 6
    expected = np.mean([one.predict_proba(X) for one in model.estimators_], axis=0)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-12)
    np.testing.assert_array_equal(model.classes_, ["red", "rose", "white"])
    np.testing.assert_array_equal(model.predict(X), model.classes_[expected.argmax(axis=1)])
    assert model.score(X, names) == accuracy_score(names, model.predict(X))


def test_regressors_are_averaged_for_one_output_and_for_several():
    X, y = DIABETES
    for targets in (y, np.column_stack([y, -y])):
        model = ffnn.ensemble(GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=3)).fit(X, targets)
        predicted = model.predict(X)
        assert predicted.shape == targets.shape
        np.testing.assert_allclose(predicted, np.mean([one.predict(X) for one in model.estimators_], axis=0))
        assert not hasattr(model, "classes_")
        assert not hasattr(model, "predict_proba")


def test_a_fold_may_lack_a_class():
    X, y = IRIS  # sorted by class: each of the three folds lacks one
    model = ffnn.ensemble(GridSearchCV(LogisticRegression(max_iter=2000), C, cv=KFold(3)), top=1).fit(X, y)
    assert [one.classes_.tolist() for one in model.estimators_] == [[1, 2], [0, 2], [0, 1]]
    expected = np.zeros((len(X), 3))
    for one in model.estimators_:
        expected[:, one.classes_] += one.predict_proba(X) / 3
    np.testing.assert_allclose(model.predict_proba(X), expected)
    assert model.oof_score_ == 0.0  # a fold's model does not know the class of its test rows


def test_models_without_probabilities_vote():
    X, y = IRIS
    model = ffnn.ensemble(GridSearchCV(RidgeClassifier(), {"alpha": [0.1, 1.0, 10.0]}, cv=FOLDS)).fit(X, y)
    votes = np.array([one.predict(X) for one in model.estimators_])
    np.testing.assert_array_equal(model.predict(X), [np.bincount(column, minlength=3).argmax() for column in votes.T])
    assert not hasattr(model, "predict_proba")


@pytest.mark.parametrize(
    "network",
    [
        ffnn.MLPClassifier(hidden_units=(16,), n_epochs=30, random_state=0),
        RandomForestClassifier(10, random_state=0),  # returns a list of probabilities, one item for each label
        KNeighborsClassifier(3),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_labels(network):
    X, Y = make_multilabel_classification(120, n_classes=4, random_state=0)
    X = StandardScaler().fit_transform(X)
    model = ffnn.ensemble(GridSearchCV(network, {}, cv=3)).fit(X, Y)
    each = [one.predict_proba(X) for one in model.estimators_]
    each = [np.column_stack([p[:, 1] for p in one]) if isinstance(one, list) else one for one in each]
    np.testing.assert_allclose(model.predict_proba(X), np.mean(each, axis=0))
    np.testing.assert_array_equal(model.predict(X), np.mean(each, axis=0) > 0.5)
    np.testing.assert_array_equal(model.classes_, range(4))
    assert model.score(X, Y) == accuracy_score(Y, model.predict(X))
    assert 0.1 < model.oof_score_ < 1


def test_sparse_data():
    X, y = IRIS
    dense, sparse = (ffnn.ensemble(logistic()).fit(form(X), y) for form in (np.asarray, scipy.sparse.coo_matrix))
    np.testing.assert_allclose(sparse.predict_proba(scipy.sparse.csr_array(X)), dense.predict_proba(X), atol=1e-3)
    assert sparse.oof_score_ == pytest.approx(dense.oof_score_, abs=0.02)


def test_several_outputs_of_classes():
    X, y = IRIS
    Y = np.column_stack([y, (y + 1) % 3 + 5])
    model = ffnn.ensemble(
        GridSearchCV(MultiOutputClassifier(LogisticRegression(max_iter=2000)), {}, cv=list(FOLDS.split(X, y)))
    ).fit(X, Y)
    assert [known.tolist() for known in model.classes_] == [[0, 1, 2], [5, 6, 7]]
    assert [block.shape for block in model.predict_proba(X)] == [(150, 3), (150, 3)]
    assert model.score(X, Y) == (model.predict(X) == Y).all(axis=1).mean() > 0.9


# --- its out-of-fold score


@pytest.mark.parametrize(
    "cv",
    [
        KFold(4, shuffle=True),
        RepeatedKFold(n_splits=3, n_repeats=2),
        ShuffleSplit(5, test_size=0.3),
        TimeSeriesSplit(3),
        PredefinedSplit(np.arange(442) % 4 - 1),
    ],
    ids=lambda cv: type(cv).__name__,
)
def test_no_model_predicts_its_training_rows(cv):
    X, _ = DIABETES
    model = ffnn.ensemble(
        GridSearchCV(Memory(), {"unused": [0, 1]}, cv=cv, scoring="neg_mean_absolute_error", refit=False)
    ).fit(X, np.zeros(len(X)))
    assert model.oof_score_ == 0.0
    assert model.score(X, np.zeros(len(X))) < -0.2  # most models know most rows


def test_rows_that_a_fold_trains_and_tests_on_do_not_count():
    X, _ = DIABETES
    rows = np.arange(len(X))
    folds = [(rows[:300], rows[200:]), (rows[100:], rows[:50])]
    search = GridSearchCV(Memory(), {}, cv=folds, scoring="neg_mean_absolute_error")
    assert ffnn.ensemble(search).fit(X, np.zeros(len(X))).oof_score_ == 0.0


@pytest.mark.parametrize("scoring", [None, "neg_log_loss", "roc_auc_ovr"])
def test_the_out_of_fold_score_of_a_partition(scoring):
    X, y = IRIS
    model = ffnn.ensemble(logistic(scoring=scoring), top=3).fit(X, y)
    held_out = np.zeros((len(X), 3))
    for train, test in FOLDS.split(X, y):
        for c in np.array(C["C"])[model.candidates_]:
            held_out[test] += LogisticRegression(C=c, max_iter=2000).fit(X[train], y[train]).predict_proba(X[test]) / 3
    expected = {
        None: accuracy_score(y, held_out.argmax(axis=1)),
        "neg_log_loss": -log_loss(y, held_out),
        "roc_auc_ovr": roc_auc_score(y, held_out, multi_class="ovr"),
    }
    assert model.oof_score_ == pytest.approx(expected[scoring], rel=1e-9)


def test_the_out_of_fold_score_where_folds_overlap():
    X, y = DIABETES
    cv = ShuffleSplit(6, test_size=0.2, random_state=1)
    search = GridSearchCV(LinearRegression(), {}, cv=cv, scoring="neg_mean_squared_error")
    model = ffnn.ensemble(search).fit(X, y)
    total, counts = np.zeros(len(X)), np.zeros(len(X))
    for train, test in cv.split(X):
        total[test] += LinearRegression().fit(X[train], y[train]).predict(X[test])
        counts[test] += 1
    seen = counts > 0
    assert not seen.all()
    assert model.oof_score_ == pytest.approx(-mean_squared_error(y[seen], total[seen] / counts[seen]))


@pytest.mark.parametrize("error_score", [np.nan, "raise"])
def test_a_scorer_that_cannot_score_the_ensemble(error_score):
    def scoring(estimator, X, y):
        return float(estimator.coef_.sum())

    model = ffnn.ensemble(logistic(scoring=scoring, error_score=error_score))
    if error_score == "raise":
        model.set_params(search__scoring="accuracy").fit(*IRIS)
        before = model.oof_score_, model.estimators_
        with pytest.raises(AttributeError, match="coef_"):
            model.set_params(search__scoring=scoring).fit(*IRIS)
        assert before == (model.oof_score_, model.estimators_)
    else:
        with pytest.warns(UserWarning, match="oof_score_ is nan: the scorer cannot score .*coef_"):
            model.fit(*IRIS)
        assert np.isnan(model.oof_score_)
        assert model.predict(IRIS[0]).shape == (150,)


def test_a_scorer_may_call_score():
    model = ffnn.ensemble(logistic(scoring=lambda estimator, X, y: estimator.score(X, y))).fit(*IRIS)
    expected = ffnn.ensemble(logistic()).fit(*IRIS)
    assert (model.oof_score_, model.score(*IRIS)) == (expected.oof_score_, expected.score(*IRIS))


def test_weights_and_groups_reach_the_search():
    X, y = DIABETES
    rng = np.random.default_rng(0)
    weight, groups = rng.uniform(0.1, 2, len(X)), rng.integers(0, 12, len(X))
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=GroupKFold(3), scoring="neg_mean_squared_error")
    model = ffnn.ensemble(search, top=1).fit(X, y, sample_weight=weight, groups=groups)
    alpha = model.search_.best_params_["alpha"]
    held_out = np.zeros(len(X))
    for train, test in GroupKFold(3).split(X, y, groups):
        held_out[test] = Ridge(alpha=alpha).fit(X[train], y[train], weight[train]).predict(X[test])
    assert model.oof_score_ == pytest.approx(-mean_squared_error(y, held_out, sample_weight=weight))


# --- every search, every executor


def networks(kind=GridSearchCV, **options):
    network = ffnn.MLPClassifier(hidden_units=(8,), n_epochs=3, random_state=0)
    return kind(network, {"learning_rate": [1e-3, 1e-2, 1e-1]}, **{"cv": FOLDS, **options})


@pytest.fixture(scope="module")
def in_sequence():
    return ffnn.ensemble(networks(), top=2).fit(*IRIS)


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["multiprocessing", "threads"])
def test_in_a_pool_it_is_the_same(executor, in_sequence):
    with ffnn.pool(executor, n_workers=2):
        model = ffnn.ensemble(networks(), top=2).fit(*IRIS)
    np.testing.assert_array_equal(model.predict_proba(IRIS[0]), in_sequence.predict_proba(IRIS[0]))
    assert model.oof_score_ == in_sequence.oof_score_


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_on_joblibs_own_backends_it_is_the_same(backend, in_sequence):
    with joblib.parallel_config(backend, n_jobs=2):
        model = ffnn.ensemble(networks(), top=2).fit(*IRIS)
    np.testing.assert_array_equal(model.predict_proba(IRIS[0]), in_sequence.predict_proba(IRIS[0]))


@pytest.mark.parametrize("refit", [True, False])
def test_of_a_halving_search_the_last_round_takes_part(refit):
    options = {"factor": 2, "min_resources": 60, "random_state": 0, "refit": refit}
    model = ffnn.ensemble(networks(HalvingGridSearchCV, **options)).fit(*IRIS)
    rounds = model.search_.cv_results_["iter"]
    np.testing.assert_array_equal(np.sort(model.candidates_), np.flatnonzero(rounds == rounds.max()))
    assert len(model.estimators_) == 3 * len(model.candidates_) < 3 * len(rounds)
    assert model.search_.best_index_ == model.candidates_[0]


def test_a_random_search():
    model = ffnn.ensemble(networks(RandomizedSearchCV, n_iter=2, random_state=0, refit=False)).fit(*IRIS)
    assert len(model.estimators_) == 6
    assert not hasattr(model.search_, "best_estimator_")


def test_of_several_scores_the_one_that_refit_names_counts():
    expected = ffnn.ensemble(logistic(scoring="neg_log_loss")).fit(*IRIS)
    several = {"loss": "neg_log_loss", "hits": "accuracy"}
    for options in (
        {"scoring": several, "refit": "loss"},
        {"scoring": ["accuracy", "neg_log_loss"], "refit": "neg_log_loss"},
        {"scoring": lambda estimator, X, y: {"loss": -log_loss(y, estimator.predict_proba(X))}, "refit": "loss"},
    ):
        model = ffnn.ensemble(logistic(**options)).fit(*IRIS)
        np.testing.assert_array_equal(model.candidates_, expected.candidates_)
        assert model.oof_score_ == pytest.approx(expected.oof_score_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning", "ignore:One or more of the test scores")
@pytest.mark.filterwarnings("ignore:Scoring failed")
@pytest.mark.parametrize("error_score", [np.nan, 0.9])
def test_a_candidate_that_fails_takes_no_part(error_score):
    search = GridSearchCV(Fails(), {"how": ["once", "never", "predict", "always"]}, cv=FOLDS, error_score=error_score)
    model = ffnn.ensemble(search).fit(*IRIS)
    assert [one.how for one in model.estimators_] == ["never"] * 3


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning", "ignore:One or more of the test scores")
def test_without_a_whole_candidate_the_remedy_is_named():
    search = GridSearchCV(Fails(), {"how": ["once"]}, cv=FOLDS)
    with pytest.raises(ValueError, match=r"no candidate has a model of every fold: .*error_score='raise'"):
        ffnn.ensemble(search).fit(*IRIS)


# --- an estimator like others


@parametrize_with_checks([ffnn.ensemble(GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2, error_score="raise"))])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [ffnn.ensemble(GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2, error_score="raise"))]
)
def test_scikit_learns_checks_of_a_classifier(estimator, check):
    check(estimator)


def test_it_can_be_cloned_pickled_and_changed():
    X, y = IRIS
    model = ffnn.ensemble(logistic(), top=2).set_params(search__estimator__tol=1e-3).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    copied = clone(model).set_params(top=1)
    assert not hasattr(copied, "estimators_")
    assert copied.get_params()["search__estimator__tol"] == 1e-3
    assert len(copied.fit(X, y).estimators_) == 3
    with pytest.raises(NotFittedError):
        clone(model).predict(X)


def test_names_of_features():
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = ffnn.ensemble(GridSearchCV(Ridge(), {})).fit(X, y)
    assert model.n_features_in_ == 4
    np.testing.assert_array_equal(model.feature_names_in_, X.columns)
    assert isinstance(y, pandas.Series)
    model.fit(X.to_numpy(), y)
    assert not hasattr(model, "feature_names_in_")


def test_top_larger_than_the_search():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(ffnn.ensemble(logistic(), top=100).fit(*IRIS).estimators_) == 12


# --- what it refuses


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"search": LogisticRegression()}, TypeError, "search must be a search .*GridSearchCV; got LogisticRegression"),
        ({"search": GridSearchCV}, TypeError, "search must be a search"),
        ({"search": None}, TypeError, "search must be a search"),
        ({"search": logistic(), "top": 0}, ValueError, "top must be at least 1; got 0"),
        ({"search": logistic(), "top": 2.0}, TypeError, "top must be a whole number .*got 2.0 of type float"),
        ({"search": logistic(), "top": True}, TypeError, "top must be a whole number"),
        ({"search": GridSearchCV(KMeans(), {})}, TypeError, "over a classifier or a regressor; got one over KMeans"),
        ({"search": GridSearchCV(SVC(kernel="precomputed"), {})}, ValueError, "pairwise data"),
        ({"search": logistic(cv=iter([]))}, TypeError, r"cv must be something .*list\(\.\.\.\)"),
        ({"search": logistic(scoring=["accuracy", "f1_macro"])}, ValueError, "several scores.*Name one by refit"),
        ({"search": logistic(scoring={"a": "accuracy"}, refit="b")}, ValueError, "several scores.*refit='b'"),
    ],
)
def test_bad_arguments_are_named_before_anything_runs(arguments, error, message):
    with pytest.raises(error, match=message):
        ffnn.ensemble(**arguments)
    changed = ffnn.ensemble(logistic()).set_params(**arguments)
    with pytest.raises(error, match=message):
        changed.fit(*IRIS)


# --- what it is worth


@pytest.mark.slow
@pytest.mark.parametrize("name", DATA)
def test_it_is_not_below_the_refitted_best_on_rows_that_the_search_has_not_seen(name):
    """On average of five draws, but for two standard errors of that."""
    best, ours, _ = np.array([scores(name, seed) for seed in range(5)]).T
    assert np.mean(ours - best) >= -2 * np.std(ours - best, ddof=1) / np.sqrt(5)
    assert ours.min() > (0.2 if name == "diabetes" else 0.9)
