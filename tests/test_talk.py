"""The talk's data: 2,000 movie reviews, character n-grams, a network against logistic regression."""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import ShuffleSplit

from ffnn import MLPClassifier

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


def test_the_evaluation_searches_the_talks_grid_and_prints_its_figures(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    # all of it takes ten minutes; fewer reviews and n-grams, on a smaller grid, walk the same way
    grids = {name: dict(search.param_grid) for name, search in example.searches("tf").items()}
    assert grids["mlp"] == {"mlp__hidden_units": [(512,), (256,), (256, 128, 64)], "mlp__dropout": [None, 0.5]}
    assert grids["lr"] == {"lr__C": [0.001, 0.01, 0.1, 1.0, 10.0, 100.0]}
    whole_load, whole_searches = example.load, example.searches

    def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
        texts, labels = whole_load(path)
        return texts[::10], labels[::10]

    def searches(builder: str) -> dict[str, object]:
        found = whole_searches(builder)
        for name, key, values in (("lr", "lr__C", [0.001]), ("mlp", "mlp__hidden_units", [(16,)])):
            found[name].set_params(param_grid={key: values}, estimator__char_ngram__max_features=500)
        return found

    monkeypatch.setattr(example, "load", load)
    monkeypatch.setattr(example, "searches", searches)
    arguments = ["--data", str(ARCHIVE), "--executor", "multiprocessing", "--n-workers", "2", "--builder", "tf"]
    monkeypatch.setattr(sys, "argv", ["movie_reviews.py", *arguments])
    example.main()
    printed = capsys.readouterr().out
    for figure in ("0.9119", "0.9271", "51 min 32 s", "16 min 23 s", "150 reviews to search on, 50 held out"):
        assert figure in printed
    row = next(line for line in printed.splitlines() if line.startswith("MLP on tf"))
    assert 0.5 < float(row.split()[3]) <= 1
