"""``ffnn.cached``: a transformer that computes once, and is otherwise the transformer."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

import ffnn
from ffnn.parallel.sharing.cached import CachedTransformer
from tests.support.counting import assert_same_scores, counted, counting, search, texts

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).parents[3]
X = np.random.default_rng(0).normal(size=(60, 3))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


# --- how often


def test_a_search_in_this_process_fits_once_a_fold(log: Path) -> None:
    check_that_a_search_fits_once_a_fold(log, "sequential")


def check_that_a_search_fits_once_a_fold(log: Path, backend: str) -> None:
    X, y = texts()
    with joblib.parallel_config(backend, n_jobs=2):
        wrapped = search(ffnn.cached(counting(log)), return_train_score=True).fit(X, y)
    assert counted(log) == {"fit": 3, "transform": 6}
    assert_same_scores(wrapped, search(counting(log), return_train_score=True, n_jobs=1).fit(X, y))


def test_the_names_of_a_grid_stay_the_same(log: Path) -> None:
    X, y = texts()
    grid = {"vectorizer__max_features": [3, 5], "classifier__C": [0.1, 1.0]}
    wrapped = search(ffnn.cached(counting(log)), grid, n_jobs=1, refit=True).fit(X, y)
    assert counted(log) == {"fit": 7, "transform": 6}
    plain = search(counting(log), grid, n_jobs=1, refit=True).fit(X, y)
    assert_same_scores(wrapped, plain)
    assert wrapped.best_params_ == plain.best_params_
    np.testing.assert_array_equal(wrapped.predict_proba(X), plain.predict_proba(X))


def test_a_change_of_parameters_or_data_is_computed(log: Path) -> None:
    vectorizer = ffnn.cached(counting(log))
    texts = ["abc", "bcd"]
    first = vectorizer.fit_transform(texts).toarray()
    np.testing.assert_array_equal(vectorizer.fit_transform(texts).toarray(), first)
    assert counted(log)["fit"] == 1
    texts[0] = "aaa"
    assert vectorizer.fit_transform(texts).toarray()[0, 0] == 3
    assert vectorizer.set_params(max_features=1).fit_transform(texts).shape == (2, 1)
    assert counted(log)["fit"] == 2


def test_changes_of_the_fitted_transformer_are_seen() -> None:
    for change in (
        lambda one: setattr(one, "mean_", one.mean_ + 1),
        lambda one: one.mean_.__iadd__(1),
        lambda one: one.set_params(with_std=False),
        lambda one: one.partial_fit(X * 7),
        lambda one: one.set_output(transform="pandas"),
    ):
        wrapped, plain = ffnn.cached(StandardScaler()).fit(X), StandardScaler().fit(X)
        np.testing.assert_array_equal(wrapped.transform(X), plain.transform(X))
        change(wrapped)
        change(plain)
        assert type(wrapped.transform(X)) is type(plain.transform(X))
        np.testing.assert_array_equal(wrapped.transform(X), plain.transform(X))
        np.testing.assert_array_equal(
            ffnn.cached(StandardScaler()).fit(X).transform(X), StandardScaler().fit(X).transform(X)
        )


def test_what_one_does_with_its_result_is_its_own_affair() -> None:
    first = ffnn.cached(StandardScaler()).fit_transform(X)
    first += 1
    np.testing.assert_array_equal(ffnn.cached(StandardScaler()).fit_transform(X), StandardScaler().fit_transform(X))


def test_unseeded_warm_and_drawing_transformers_are_computed_each_time() -> None:
    calls: list[int] = []

    def draw(X: Any) -> Any:
        calls.append(1)
        return X + np.random.normal()

    for _ in range(3):
        ffnn.cached(FunctionTransformer(draw)).fit_transform(X)
    assert len(calls) == 3
    generator = np.random.RandomState(0)
    wrapped = ffnn.cached(PCA(2, svd_solver="randomized", random_state=generator))
    before = generator.get_state()[2]
    wrapped.fit(X)
    middle = generator.get_state()[2]
    wrapped.fit(X)
    assert before != middle != generator.get_state()[2]


class Unloadable(StandardScaler):
    """Can be pickled once it is fitted, but not loaded."""

    def __setstate__(self, state: Any) -> None:
        raise OSError("not here")


def test_what_cannot_be_loaded_is_computed_each_time() -> None:
    expected = StandardScaler().fit_transform(X)
    for _ in range(3):
        wrapped = ffnn.cached(Unloadable())
        np.testing.assert_array_equal(wrapped.fit_transform(X), expected)
        np.testing.assert_array_equal(wrapped.transform(X), expected)


class Times(FunctionTransformer):
    factor = 2

    def transform(self, X: Any) -> Any:
        return X * self.factor


def test_changes_of_the_class_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    for factor in (2, 5, 2):
        monkeypatch.setattr(Times, "factor", factor)
        np.testing.assert_array_equal(ffnn.cached(Times()).fit(X).transform(X), X * factor)


def test_a_class_of_the_user_stays_as_it_is(log: Path) -> None:
    vectorizer = counting(log)
    method = type(vectorizer).fit_transform
    for _ in range(2):
        search(ffnn.cached(vectorizer), n_jobs=1).fit(*texts(90))
    assert type(vectorizer).fit_transform is method


def test_the_configuration_of_scikit_learn_counts() -> None:
    pytest.importorskip("pandas")
    wrapped = ffnn.cached(MinMaxScaler())
    assert isinstance(wrapped.fit_transform(X), np.ndarray)
    with sklearn.config_context(transform_output="pandas"):
        assert hasattr(wrapped.fit_transform(X), "iloc")
    assert isinstance(wrapped.fit_transform(X), np.ndarray)


@pytest.mark.slow
def test_threads_share(log: Path) -> None:
    """In a process of its own: a fit is not shared if some other thread draws random numbers meanwhile."""
    code = f"""
import pathlib
from tests.parallel.sharing import test_cached as tests
log = pathlib.Path({str(log)!r})
tests.check_that_threads_share(log)
tests.check_that_a_search_fits_once_a_fold(log, "threading")
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=100)


def check_that_threads_share(log: Path) -> None:
    X, _ = texts(3000)
    found: list[Any] = []
    vectorizer = counting(log)
    threads = [
        threading.Thread(target=lambda: found.append(ffnn.cached(clone(vectorizer)).fit_transform(X))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted(log)["fit"] == 1
    assert len({matrix.data.tobytes() for matrix in found}) == 1


# --- like the transformer


def test_parameters_clones_and_copies() -> None:
    plain = CountVectorizer(ngram_range=(1, 2))
    wrapped = ffnn.cached(plain)
    assert wrapped.get_params() == plain.get_params()
    assert repr(wrapped) == "cached(CountVectorizer(ngram_range=(1, 2)))"
    assert wrapped.set_params(ngram_range=(1, 3)) is wrapped
    with pytest.raises(ValueError, match="Invalid parameter 'n_gram'"):
        wrapped.set_params(n_gram=1)
    wrapped.fit(["ab cd"])
    assert not hasattr(plain, "vocabulary_")
    for other in (clone(wrapped), copy.deepcopy(wrapped), pickle.loads(pickle.dumps(wrapped)), copy.copy(wrapped)):
        assert isinstance(other, CachedTransformer)
        assert other.get_params() == wrapped.get_params()
    assert not hasattr(clone(wrapped), "vocabulary_")
    again = pickle.loads(pickle.dumps(wrapped))
    assert again.vocabulary_ == wrapped.vocabulary_
    np.testing.assert_array_equal(again.transform(["cd"]).toarray(), wrapped.transform(["cd"]).toarray())


def test_attributes_methods_and_tags() -> None:
    wrapped, plain = ffnn.cached(StandardScaler()), StandardScaler()
    assert get_tags(wrapped) == get_tags(plain)
    assert has_fit_parameter(wrapped, "sample_weight")
    with pytest.raises(NotFittedError):
        check_is_fitted(wrapped)
    with pytest.raises(NotFittedError):
        wrapped.transform(X)
    assert wrapped.fit(X) is wrapped
    check_is_fitted(wrapped)
    plain.fit(X)
    assert wrapped.n_features_in_ == 3
    assert list(wrapped.get_feature_names_out()) == list(plain.get_feature_names_out())
    np.testing.assert_array_equal(wrapped.inverse_transform(X), plain.inverse_transform(X))
    assert wrapped.partial_fit(X) is wrapped
    assert not hasattr(wrapped, "predict")
    assert not hasattr(ffnn.cached(SelectKBest()), "partial_fit")
    assert "inverse_transform" in dir(wrapped)
    weight = np.linspace(0, 1, 60)
    np.testing.assert_array_equal(wrapped.fit(X, sample_weight=weight).mean_, plain.fit(X, sample_weight=weight).mean_)


def test_in_unions_columns_and_pipelines() -> None:
    def union(wrap: Any) -> Any:
        return make_pipeline(
            FeatureUnion([("a", wrap(StandardScaler())), ("b", wrap(PCA(2, random_state=0)))]), LogisticRegression()
        )

    y = X[:, 0] > 0
    wrapped, plain = union(ffnn.cached).fit(X, y), union(lambda one: one).fit(X, y)
    np.testing.assert_array_equal(wrapped.predict_proba(X), plain.predict_proba(X))
    assert list(wrapped[:-1].get_feature_names_out()) == list(plain[:-1].get_feature_names_out())
    encoder = make_pipeline(ffnn.cached(OneHotEncoder(sparse_output=False)).set_output(transform="pandas"))
    assert hasattr(encoder.fit_transform([["a"], ["b"]]), "iloc")


def test_metadata_is_routed() -> None:
    weight = np.linspace(0, 1, 60)
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = ffnn.cached(StandardScaler()).set_fit_request(sample_weight=True)
        assert isinstance(scaler, CachedTransformer)
        classifier = LogisticRegression().set_fit_request(sample_weight=False)
        wrapped = make_pipeline(scaler, classifier).fit(X, X[:, 0] > 0, sample_weight=weight)
    np.testing.assert_array_equal(wrapped[0].mean_, StandardScaler().fit(X, sample_weight=weight).mean_)


#: It makes other objects by the class of the first, which :func:`ffnn.cached` does instead.
NOT_OF_A_CLASS = {"check_do_not_raise_errors_in_init_or_set_params", "check_parameters_default_constructible"}


@pytest.mark.parametrize(
    "transformer", [StandardScaler(), MinMaxScaler(), PCA(random_state=0), SelectKBest(k=1)], ids=repr
)
def test_scikit_learns_checks_pass(transformer: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = estimator_checks.check_estimator(clone(transformer), on_fail=None)
        wrapped = estimator_checks.check_estimator(ffnn.cached(transformer), on_fail=None)
    passed = {one["check_name"] for one in plain if one["status"] == "passed"}
    failed = {one["check_name"]: one["exception"] for one in wrapped if one["status"] != "passed"}
    assert len(passed) > 30
    assert {name: error for name, error in failed.items() if name in passed and name not in NOT_OF_A_CLASS} == {}
    assert {one["check_name"] for one in plain} == {one["check_name"] for one in wrapped}


@pytest.mark.parametrize("bad", [LogisticRegression(), StandardScaler, "passthrough", None, 3])
def test_what_is_no_transformer_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError, match="transformer must be an estimator with fit and transform; got .* Pass an inst"):
        ffnn.cached(bad)
