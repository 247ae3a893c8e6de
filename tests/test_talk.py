"""The talk's data: 2,000 movie reviews, character n-grams, a network against logistic regression."""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, ShuffleSplit

import ffnn
from ffnn import MLPClassifier
from tests.support.containers import Podman
from tests.support.dask_cluster import MakeCluster
from tests.support.sshd import Network

ROOT = Path(__file__).parents[1]
ARCHIVE = Path(os.environ.get("FFNN_DATA", ROOT.parent / "shared" / "data")) / "movie_reviews.zip"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not ARCHIVE.exists(), reason=f"no {ARCHIVE}; name its folder in FFNN_DATA"),
]

Split = tuple[csr_matrix, np.ndarray, csr_matrix, np.ndarray]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("movie_reviews", ROOT / "examples" / "movie_reviews.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def split(example: ModuleType) -> Split:
    """The talk's split, as n-gram counts."""
    texts, labels = example.load(ARCHIVE)
    assert len(texts) == 2000
    assert labels.sum() == 1000
    train, test = next(ShuffleSplit(n_splits=1, test_size=0.25, random_state=1234).split(texts))
    ngrams = CountVectorizer(analyzer="char", ngram_range=(2, 5), max_features=50_000)
    return ngrams.fit_transform(texts[train]), labels[train], ngrams.transform(texts[test]), labels[test]


def test_the_network_scores_as_the_talk_said_or_better(split: Split):
    X, y, X_test, y_test = split
    mlp = MLPClassifier((256,), n_epochs=10, random_state=42).fit(X, y)
    assert mlp.network_.dtype == "float32"
    assert roc_auc_score(y_test, mlp.predict_proba(X_test)[:, 1]) >= 0.93


def test_logistic_regression_scores_as_the_talk_said(split: Split):
    X, y, X_test, y_test = split
    lr = LogisticRegression(C=0.001, random_state=42)  # as in the talk: it stops at its limit of 100 iterations
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        lr.fit(X, y)
    assert roc_auc_score(y_test, lr.decision_function(X_test)) == pytest.approx(0.912, abs=0.001)


@pytest.fixture
def small(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example on fewer and shorter reviews, fewer n-grams and a smaller grid: all of it takes ten minutes."""
    whole_load, whole_searches = example.load, example.searches

    def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
        texts, labels = whole_load(path)
        return np.array([text[:1500] for text in texts[::10]], dtype=object), labels[::10]

    def searches(builder: str) -> dict[str, GridSearchCV]:
        found = whole_searches(builder)
        for name, key, values in (("lr", "lr__C", [0.001]), ("mlp", "mlp__hidden_units", [(16,)])):
            found[name].set_params(param_grid={key: values}, estimator__char_ngram__max_features=500)
        return found

    monkeypatch.setattr(example, "load", load)
    monkeypatch.setattr(example, "searches", searches)
    return example


def test_the_evaluation_searches_the_talks_grid_and_prints_its_figures(
    small: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    arguments = ["--data", str(ARCHIVE), "--executor", "multiprocessing", "--n-workers", "2", "--builder", "tf"]
    monkeypatch.setattr(sys, "argv", ["movie_reviews.py", *arguments])
    small.main()
    printed = capsys.readouterr().out
    for figure in ("0.9119", "0.9271", "51 min 32 s", "16 min 23 s", "150 reviews to search on, 50 held out"):
        assert figure in printed
    assert "tasks on 2 workers in" in printed
    row = next(line for line in printed.splitlines() if line.startswith("MLP on tf"))
    assert 0.5 < float(row.split()[3]) <= 1


def test_the_grid_is_the_talks(example: ModuleType):
    grids = {name: dict(search.param_grid) for name, search in example.searches("tf").items()}
    assert grids["mlp"] == {"mlp__hidden_units": [(512,), (256,), (256, 128, 64)], "mlp__dropout": [None, 0.5]}
    assert grids["lr"] == {"lr__C": [0.001, 0.01, 0.1, 1.0, 10.0, 100.0]}


def test_its_scores_are_those_of_the_sequential_search_on_every_executor(
    small: ModuleType, ssh_network: Network, podman: Podman, dask_cluster: MakeCluster
):
    """The searches themselves are called, as a certificate and a test image's mounts are no words of a command line."""
    texts, labels = small.load(ARCHIVE)
    sequential = small.evaluate(texts, labels, nullcontext(), "here", "tf")
    cluster = dask_cluster()
    assert cluster.authority is not None
    cluster.start_workers([{}, {}])
    hosts = {"hosts": ["alpha", "beta"], "config": ssh_network.config, "python": sys.executable}
    options = {
        "ssh": hosts,
        "container": podman.options() | {"n_workers": 1, "memory": "4g"},
        "dask": {"address": cluster.address, "security": cluster.authority.security()},
    }
    for name, chosen in options.items():
        found = small.evaluate(texts, labels, ffnn.pool(name, progress=False, **chosen), name, "tf")
        for which, search in found.items():
            for split in range(3):
                key = f"split{split}_test_score"
                np.testing.assert_array_equal(search.cv_results_[key], sequential[which].cv_results_[key], name)
