"""A vectoriser that writes down each of its fits and transforms, and searches with it."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

__all__ = ["assert_same_scores", "counted", "counting", "search", "texts"]


def counting(log: Path, act: Callable[[], object] = lambda: None) -> Any:
    """Make a vectoriser that appends a line to a file for each fit and each transform.

    `act` is called in each fit. The class is local, so that it travels by value: hosts cannot import this module.
    """

    class Counting(CountVectorizer):  # type: ignore[misc]
        def __init__(self, log: str = "", analyzer: str = "char", max_features: int | None = None) -> None:
            super().__init__(analyzer=analyzer, max_features=max_features)
            self.log = log

        def note(self, what: str) -> None:
            with open(self.log, "a") as file:
                file.write(f"{what} on {os.environ.get('SSH_CONNECTION', 'here').split()[-2:][0]}\n")

        def fit_transform(self, X: Any, y: Any = None) -> Any:
            self.note("fit")
            act()
            return super().fit_transform(X, y)

        def transform(self, X: Any) -> Any:
            self.note("transform")
            return super().transform(X)

    return Counting(str(log))


def counted(log: Path) -> dict[str, int]:
    """Return the numbers of fits and of transforms, and forget them."""
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    found = collections.Counter(line.split()[0] for line in lines)
    return {"fit": found["fit"], "transform": found["transform"]}


def texts(n: int = 600) -> tuple[list[str], list[bool]]:
    """Return random texts, and whether one letter is frequent in them."""
    rng = np.random.default_rng(0)
    X = ["".join(rng.choice(list("abcdefg "), 60)) for _ in range(n)]
    return X, [text.count("a") + text.count("b") > 15 for text in X]


def search(vectorizer: Any, grid: dict[str, list[Any]] | None = None, **options: Any) -> GridSearchCV:
    """Make a search of 6 candidates x 3 folds."""
    pipeline = Pipeline([("vectorizer", vectorizer), ("classifier", LogisticRegression())])
    grid = grid or {"classifier__C": [0.01, 0.1, 1.0, 10.0, 100.0, 1000.0]}
    return GridSearchCV(pipeline, grid, **{"cv": 3, "refit": False, "error_score": "raise", **options})


def assert_same_scores(one: GridSearchCV, other: GridSearchCV) -> None:
    """Compare the scores of two searches, bit for bit."""
    names = [name for name in one.cv_results_ if name.startswith("split")]
    assert names
    for name in names:
        np.testing.assert_array_equal(one.cv_results_[name], other.cv_results_[name], err_msg=name)
