"""Searches in a pool whose workers share the transformers of pipelines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - makes the import below possible
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import ffnn
from ffnn.exceptions import TaskTimeoutError
from ffnn.parallel.pool import Pool
from tests.support.agents import wait_until
from tests.support.counting import assert_same_scores, counted, counting, search, texts
from tests.support.faults import once

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with ffnn.pool("multiprocessing", n_workers=2, share=True, progress=False) as pool:
        yield pool


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


# --- how often


def test_a_prefix_is_fitted_once_a_fold_and_applied_once_to_its_training_and_its_test_rows(
    pool: Pool, log: Path
) -> None:
    X, y = texts()
    shared = search(counting(log), return_train_score=True).fit(X, y)
    assert counted(log) == {"fit": 3, "transform": 6}
    alone = search(counting(log), return_train_score=True, n_jobs=1).fit(X, y)
    assert counted(log) == {"fit": 18, "transform": 36}
    assert_same_scores(shared, alone)


def test_each_setting_of_the_prefix_has_fits_of_its_own(pool: Pool, log: Path) -> None:
    X, y = texts()
    grid = {"vectorizer__max_features": [3, 4], "classifier__C": [0.1, 1.0, 10.0]}
    shared = search(counting(log), grid).fit(X, y)
    assert counted(log) == {"fit": 6, "transform": 6}
    assert_same_scores(shared, search(counting(log), grid, n_jobs=1).fit(X, y))


def test_a_later_transformer_leaves_the_earlier_ones_shared(pool: Pool, log: Path) -> None:
    X, y = texts()
    pipeline = make_pipeline(counting(log), TfidfTransformer(), LogisticRegression())
    grid = {"tfidftransformer__use_idf": [False, True], "logisticregression__C": [0.1, 1.0]}
    shared = GridSearchCV(pipeline, grid, cv=3, refit=False).fit(X, y)
    assert counted(log) == {"fit": 3, "transform": 3}
    assert_same_scores(shared, GridSearchCV(pipeline, grid, cv=3, refit=False, n_jobs=1).fit(X, y))


@pytest.mark.slow
def test_several_transformers_that_travel_by_value_are_shared(pool: Pool, log: Path, tmp_path: Path) -> None:
    class Halved(TransformerMixin, BaseEstimator):  # type: ignore[misc]
        def __init__(self, log: str = "", power: int = 1) -> None:
            self.log, self.power = log, power

        def fit(self, X: Any, y: Any = None) -> Any:
            with open(self.log, "a") as file:
                file.write("fit\n")
            return super().fit(X, y) if hasattr(super(), "fit") else self

        def transform(self, X: Any) -> Any:
            return X / 2**self.power

    X, y = texts()
    later = tmp_path / "later"
    pipeline = make_pipeline(counting(log), Halved(str(later)), LogisticRegression())
    grid = {"halved__power": [1, 2], "logisticregression__C": [0.1, 1.0, 10.0]}
    shared = GridSearchCV(pipeline, grid, cv=3, refit=False, error_score="raise").fit(X, y)
    assert (counted(log)["fit"], counted(later)["fit"]) == (3, 6)
    assert_same_scores(shared, GridSearchCV(pipeline, grid, cv=3, refit=False, n_jobs=1).fit(X, y))


@pytest.mark.slow
def test_changed_data_are_other_data(pool: Pool, log: Path) -> None:
    X, y = texts()
    search(counting(log)).fit(X, y)
    X[0] += "a"
    counted(log)
    shared = search(counting(log)).fit(X, y)
    assert counted(log) == {"fit": 2, "transform": 3}  # the text is of one fold's test rows, and two folds' training
    assert_same_scores(shared, search(counting(log), n_jobs=1).fit(X, y))


def test_an_edited_class_is_another_class(pool: Pool, tmp_path: Path) -> None:
    def scaled(factor: float) -> Any:
        namespace: dict[str, Any] = {"__name__": "__main__"}
        exec(  # as a notebook's cell is run again
            "from sklearn.base import BaseEstimator, TransformerMixin\n"
            "class Scaled(TransformerMixin, BaseEstimator):\n"
            "    def fit(self, X, y=None):\n"
            "        return self\n"
            "    def transform(self, X):\n"
            f"        return X * {factor}\n",
            namespace,
        )
        return namespace["Scaled"]()

    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = X[:, 0] + rng.normal(size=200) > 0
    scores = []
    for factor in (1.0, 1e-3):
        shared = search(scaled(factor), {"classifier__C": [0.1, 1.0]}, scoring="neg_log_loss").fit(X, y)
        alone = search(scaled(factor), {"classifier__C": [0.1, 1.0]}, scoring="neg_log_loss", n_jobs=1).fit(X, y)
        assert_same_scores(shared, alone)
        scores.append(shared.cv_results_["mean_test_score"])
    assert (scores[0] != scores[1]).all()


# --- what is not shared


def drawing(log: Path, draw: Any) -> Any:
    class Drawing(TransformerMixin, BaseEstimator):  # type: ignore[misc]
        def __init__(self, random_state: Any = 0) -> None:
            self.random_state = random_state

        def fit(self, X: Any, y: Any = None) -> Any:
            with log.open("a") as file:
                file.write("fit\n")
            self.noise_ = draw(self.random_state)
            return self

        def transform(self, X: Any) -> Any:
            return X + self.noise_

    return Drawing()


@pytest.mark.parametrize("kind", ["random_state", "nested", "global"])
def test_a_transformer_that_draws_from_an_unseeded_generator_is_not_shared(pool: Pool, log: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 2)), np.arange(90) % 2
    if kind == "global":
        transformer = drawing(log, lambda seed: np.random.normal())
    else:
        transformer = drawing(log, lambda seed: np.random.RandomState(seed).normal()).set_params(random_state=None)
    if kind == "nested":
        transformer = FeatureUnion([("a", StandardScaler()), ("b", transformer)])
    search(transformer).fit(X, y)
    assert counted(log)["fit"] == 18


def test_a_seeded_one_is_shared(pool: Pool, log: Path) -> None:
    X, y = np.random.default_rng(0).normal(size=(90, 2)), np.arange(90) % 2
    search(drawing(log, lambda seed: np.random.RandomState(seed).normal())).fit(X, y)
    assert counted(log)["fit"] == 3


def test_a_transformer_that_changes_its_data_is_not_shared(pool: Pool) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)) * 5 + 3
    y = X[:, 0] + rng.normal(size=300) * 5 > 3
    options: dict[str, Any] = {"return_train_score": True, "scoring": "neg_log_loss"}
    shared = search(StandardScaler(copy=False), **options).fit(X, y)
    assert_same_scores(shared, search(StandardScaler(copy=False), **options, n_jobs=1).fit(X, y))


def test_behind_a_view_of_the_data_others_are_shared(pool: Pool, log: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 4))
    y = X[:, 0] + rng.normal(size=90) > 0
    later = drawing(log, lambda seed: 1.0)
    pipeline = make_pipeline(FunctionTransformer(lambda X: X[:, :2]), later, StandardScaler(copy=False))
    options: dict[str, Any] = {"return_train_score": True, "scoring": "neg_log_loss"}
    shared = search(pipeline, **options).fit(X, y)
    assert counted(log)["fit"] == 3
    assert_same_scores(shared, search(pipeline, **options, n_jobs=1).fit(X, y))


def test_parameters_that_cannot_be_pickled_are_no_obstacle(pool: Pool, log: Path) -> None:
    class Locked:
        def __reduce__(self) -> Any:
            if os.environ.get("FFNN_STORE"):
                raise TypeError("not from a worker")
            return Locked, ()

        def __deepcopy__(self, memo: object) -> Any:
            return self

    X, y = texts(90)
    pipeline = make_pipeline(
        FunctionTransformer(list, inv_kw_args={"lock": Locked()}), counting(log), LogisticRegression()
    )
    grid = {"logisticregression__C": [0.1, 1.0]}
    shared = GridSearchCV(pipeline, grid, cv=3, refit=False, error_score="raise").fit(X, y)
    assert counted(log)["fit"] == 3  # what is behind it is shared: its rows are the same
    assert_same_scores(shared, GridSearchCV(pipeline, grid, cv=3, refit=False, n_jobs=1).fit(X, y))


def test_a_pipeline_with_a_memory_of_its_own_keeps_it(pool: Pool, tmp_path: Path) -> None:
    X, y = texts(90)
    grid = search(CountVectorizer(analyzer="char"))
    grid.estimator.memory = str(tmp_path / "memory")
    grid.fit(X, y)
    assert (tmp_path / "memory" / "joblib").is_dir()
    assert grid.estimator.memory == str(tmp_path / "memory")


# --- what comes back


def test_estimators_come_back_as_they_are_without(pool: Pool) -> None:
    X, y = texts(150)
    pipeline = make_pipeline(
        CountVectorizer(analyzer="char"),
        make_pipeline(TfidfTransformer(), FunctionTransformer()),
        "passthrough",
        LogisticRegression(),
    )
    options: dict[str, Any] = {"cv": 3, "return_estimator": True, "error_score": "raise"}
    shared = cross_validate(pipeline, X, y, **options)
    alone = cross_validate(pipeline, X, y, n_jobs=1, **options)
    np.testing.assert_array_equal(shared["test_score"], alone["test_score"])
    for one, other in zip(shared["estimator"], alone["estimator"], strict=True):
        assert repr(one) == repr(other)
        assert one.memory is None
        assert [type(step) for _, step in one.steps] == [type(step) for _, step in other.steps]
        assert [type(step) for _, step in one.steps[1][1].steps] == [TfidfTransformer, FunctionTransformer]
        assert one[0].vocabulary_ == other[0].vocabulary_
        np.testing.assert_array_equal(one[:-1].transform(X).toarray(), other[:-1].transform(X).toarray())
        np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_an_error_in_a_transformer_is_that_without(pool: Pool, log: Path) -> None:
    def fail() -> None:
        raise ZeroDivisionError("in the vectoriser")

    X, y = texts(90)
    with pytest.raises(ZeroDivisionError, match="in the vectoriser"):
        search(counting(log, fail)).fit(X, y)
    grid = {"vectorizer__max_features": [1, 3], "classifier__C": [0.1, 1.0]}

    class Picky(CountVectorizer):  # type: ignore[misc]
        def fit_transform(self, X: Any, y: Any = None) -> Any:
            if self.max_features == 1:
                raise ValueError("too few")
            return super().fit_transform(X, y)

    with pytest.warns(Warning, match="too few"):
        fitted = search(Picky(analyzer="char"), grid, error_score=-1.0).fit(X, y)
    assert list(fitted.cv_results_["mean_test_score"] == -1.0) == [True, False, True, False]


def test_a_task_of_the_users_own_has_its_name_and_its_result(pool: Pool, log: Path) -> None:
    X, y = texts(90)
    pipeline = make_pipeline(counting(log), LogisticRegression())
    first, second = (pool.submit(pipeline.fit, X, y) for _ in range(2))
    np.testing.assert_array_equal(first.result(60).predict_proba(X), second.result(60).predict_proba(X))
    assert counted(log)["fit"] == 1
    assert first.result().memory is None


# --- other ways to it


def columns(X: Any) -> Any:
    return ColumnTransformer([("scaled", StandardScaler(), [0, 1]), ("pca", PCA(2, random_state=0), [1, 2, 3])])


@pytest.mark.parametrize("kind", ["columns", "union", "nested", "passthrough", "replaced", "frame"])
def test_scores_are_equal_for(pool: Pool, kind: str) -> None:
    rng = np.random.default_rng(0)
    X: Any = rng.normal(size=(300, 4))
    y = X[:, 0] + X[:, 3] + rng.normal(size=300) > 0
    grid: dict[str, list[Any]] = {"classifier__C": [0.001, 0.01, 1.0]}
    options: dict[str, Any] = {"return_train_score": True, "scoring": "neg_log_loss"}
    prefix: Any = StandardScaler()
    if kind == "columns":
        prefix = columns(X)
    elif kind == "union":
        prefix = FeatureUnion([("scaled", StandardScaler()), ("pca", PCA(random_state=0))])
    elif kind == "nested":
        prefix = Pipeline([("scaler", StandardScaler()), ("pca", PCA(random_state=0))])
        grid["vectorizer__pca__n_components"] = [1, 2]
    elif kind == "passthrough":
        grid["vectorizer"] = ["passthrough", StandardScaler()]
    elif kind == "replaced":
        grid["vectorizer"] = [StandardScaler(), PCA(2, random_state=0), PCA(2)]
    else:
        pandas = pytest.importorskip("pandas")
        X = pandas.DataFrame(X, columns=list("abcd"))
        prefix = StandardScaler().set_output(transform="pandas")
    shared = search(prefix, grid, **options).fit(X, y)
    assert_same_scores(shared, search(prefix, grid, **options, n_jobs=1).fit(X, y))


@pytest.mark.slow
def test_halving_and_cross_val_score_and_nested_searches(pool: Pool, log: Path) -> None:
    X, y = texts(300)
    halving = HalvingGridSearchCV(
        search(counting(log)).estimator, {"classifier__C": [0.01, 1.0, 100.0, 1000.0]}, cv=3, random_state=0
    )
    halving.fit(X, y)
    n_resources = len(halving.n_resources_)
    assert counted(log) == {"fit": 3 * n_resources + 1, "transform": 6 * n_resources}  # and the refit, here
    np.testing.assert_array_equal(
        cross_val_score(search(counting(log)).estimator, X, y, cv=3),
        cross_val_score(search(counting(log)).estimator, X, y, cv=3, n_jobs=1),
    )
    counted(log)
    nested = cross_val_score(search(counting(log), refit=True), X, y, cv=2)
    assert counted(log)["fit"] == 2 * 3 + 2  # on the inner folds, and the refits
    np.testing.assert_array_equal(nested, cross_val_score(search(counting(log), refit=True), X, y, cv=2, n_jobs=1))


def test_a_network_behind_a_sparse_prefix(pool: Pool, log: Path) -> None:
    X, y = texts(200)
    network = ffnn.MLPClassifier(builder="native", hidden_units=(8,), n_epochs=2, random_state=0)
    pipeline = Pipeline([("vectorizer", counting(log)), ("classifier", network)])
    grid = {"classifier__learning_rate": [0.1, 0.01, 0.001]}
    shared = GridSearchCV(pipeline, grid, cv=3, refit=False, error_score="raise").fit(X, y)
    assert counted(log) == {"fit": 3, "transform": 3}
    assert_same_scores(shared, GridSearchCV(pipeline, grid, cv=3, refit=False, n_jobs=1).fit(X, y))


def test_a_wrapped_transformer_shares_with_the_host(pool: Pool, log: Path) -> None:
    X, y = texts()
    search(ffnn.cached(counting(log))).fit(X, y)
    assert counted(log) == {"fit": 3, "transform": 3}


# --- bounds and ends


@pytest.mark.slow
def test_without_share_nothing_is_shared(log: Path) -> None:
    X, y = texts(90)
    with ffnn.pool("multiprocessing", n_workers=1, progress=False):
        search(counting(log)).fit(X, y)
    assert counted(log) == {"fit": 18, "transform": 18}


@pytest.mark.slow
def test_a_small_store_drops_and_computes_again(log: Path) -> None:
    X, y = texts(9000)  # about 1 MB a fold
    with ffnn.pool("multiprocessing", n_workers=1, share=1 << 20, progress=False) as pool:
        shared = search(counting(log), {"classifier__C": [0.1, 1.0]}).fit(X, y)
        [host] = pool.executor.hosts  # type: ignore[attr-defined]
        kept = [path.stat().st_size for path in Path(host.facts.shared).iterdir()]
        assert sum(kept) <= 1 << 20
    assert 3 < counted(log)["fit"] <= 6
    assert_same_scores(shared, search(counting(log), {"classifier__C": [0.1, 1.0]}, n_jobs=1).fit(X, y))


@pytest.mark.slow
def test_a_worker_that_is_killed_in_the_prefix_leaves_it_to_the_others(log: Path, tmp_path: Path) -> None:
    X, y = texts()

    def die() -> None:
        time.sleep(0.5)  # until the other waits
        os.kill(os.getpid(), signal.SIGKILL)

    vectorizer = counting(log, once(tmp_path / "done", die))
    with ffnn.pool("multiprocessing", n_workers=2, share=True, progress=False) as pool:
        shared = search(vectorizer).fit(X, y)
        assert pool.n_retries == 1
    assert counted(log) == {"fit": 4, "transform": 3}
    assert_same_scores(shared, search(counting(log), n_jobs=1).fit(X, y))


@pytest.mark.slow
def test_nothing_is_left_after_the_pool(log: Path) -> None:
    X, y = texts()
    with ffnn.pool("multiprocessing", n_workers=2, share=True, progress=False) as pool:
        search(counting(log)).fit(X, y)
        [host] = pool.executor.hosts  # type: ignore[attr-defined]
        assert len(list(Path(host.facts.shared).iterdir())) == 6
    assert not Path(host.facts.folder).exists()


@pytest.mark.slow
def test_nothing_is_left_after_a_client_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, ffnn\n"
        "from pathlib import Path\n"
        "from tests.support.counting import counting, search, texts\n"
        f"log = Path({str(tmp_path / 'log')!r})\n"
        "with ffnn.pool('multiprocessing', n_workers=2, share=True, progress=False) as pool:\n"
        "    search(counting(log)).fit(*texts())\n"
        "    [host] = pool.executor.hosts\n"
        "    print(len(os.listdir(host.facts.shared)), host.facts.folder, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    n_entries, folder = done.stdout.split()
    assert n_entries == "6"
    wait_until(lambda: not os.path.exists(folder), "the folder is gone")


def test_threads_and_bad_values_are_refused() -> None:
    from concurrent.futures import ThreadPoolExecutor

    before = set(psutil.Process().children(recursive=True))
    with ThreadPoolExecutor(1) as threads:
        with pytest.raises(TypeError, match="ThreadPoolExecutor has none. Wrap the transformers instead, ffnn.cached"):
            ffnn.pool(threads, share=True)
        with ffnn.pool(threads) as pool:  # False is for every executor
            assert pool.submit(abs, -1).result(60) == 1
    with pytest.raises(TypeError, match="share must be True, False or a number of bytes; got '2 GB' of type str"):
        ffnn.pool(share="2 GB")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="share must be at least 1048576 bytes; got 1"):
        ffnn.pool(share=1)
    assert set(psutil.Process().children(recursive=True)) == before


def test_errors_name_the_users_function() -> None:
    def slow() -> None:
        time.sleep(60)

    with (
        ffnn.pool("multiprocessing", n_workers=1, share=True, task_timeout=0.5, progress=False) as pool,
        pytest.raises(TaskTimeoutError, match=r"test_errors_name_the_users_function.<locals>.slow"),
    ):
        pool.submit(slow).result(60)
