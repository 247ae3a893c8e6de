"""The data: the talk's, where it is at hand, and generators of the same and of other shapes.

Files are kept under ``output/benchmarks``, so that no contestant makes its own; ``scratch`` is emptied after a run.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "output" / "benchmarks"
SCRATCH = FOLDER / "scratch"
REVIEWS = Path(os.environ.get("FFNN_DATA", ROOT.parent / "shared" / "data")) / "movie_reviews.zip"
TALK = (1_500, 500, 50_000, 5_975)


def corpus(
    n_rows: int, n_features: int, per_row: int, seed: int, *, skew: float = 2.0, signal: float = 3.0, first: int = 0
) -> Any:
    """Return a CSR matrix like word counts, and labels that depend on it.

    Some columns are in most rows and most are in few, as words are. The values are ``1 + log(count)``. A row of
    class 1 has more of the odd columns, one of class 0 more of the even ones.

    Parameters
    ----------
    n_rows, n_features : int
        The shape.
    per_row : int
        The stored values of a row, on average: as many columns are drawn until about so many differ.
    seed : int
        What X and y follow from.
    skew : float
        Columns are drawn as ``n_features * u ** skew``: 1 is uniform. 0 stands for Zipf's law, ``n_features ** u``.
    signal : float
        By how many standard deviations more, about.
    first : int
        The number of the first row: chunks of one data set differ by it.
    """
    import numpy as np
    import scipy.sparse

    rng = np.random.default_rng([seed, first])
    y = rng.integers(0, 2, n_rows)
    telling = min(0.5, signal / np.sqrt(per_row))

    def draw(*shape: int) -> Any:
        u = rng.random(shape)
        columns = n_features * u**skew if skew else n_features**u - 1
        return columns.astype(np.int32)

    draws = per_row
    for _ in range(12):  # how many draws leave so many different columns
        draws = int(draws * per_row / len(np.unique(draw(draws)))) + 1
    parts = []
    for start in range(0, n_rows, 500):
        rows = min(500, n_rows - start)
        columns = draw(rows, draws)
        told = rng.random(columns.shape) < telling
        columns = np.where(told, columns // 2 * 2 + y[start : start + rows, None], columns)
        indptr = np.arange(0, rows * draws + 1, draws)
        part = scipy.sparse.csr_array((np.ones(rows * draws, np.float32), columns.ravel(), indptr), (rows, n_features))
        part.sum_duplicates()
        parts.append(part)
    X = scipy.sparse.vstack(parts, format="csr")
    X.data = (1 + np.log(X.data)).astype(np.float32)
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return X, y


def save(path: Path, X: Any, y: Any, X_test: Any, y_test: Any) -> None:
    """Write a split to a file."""
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"shape": X.shape, "y": y, "y_test": y_test}
    for name, matrix in (("train", X), ("test", X_test)):
        arrays |= {f"{name}_{part}": getattr(matrix, part) for part in ("indptr", "indices", "data")}
    with path.with_suffix(".part").open("wb") as file:
        np.savez(file, **arrays)
    path.with_suffix(".part").replace(path)


def load(path: Path) -> tuple[Any, Any, Any, Any]:
    """Return X, y, X_test and y_test of a file."""
    import numpy as np
    import scipy.sparse

    with np.load(path) as file:
        n_features = int(file["shape"][1])
        parts = []
        for name in ("train", "test"):
            indptr, indices, data = (file[f"{name}_{part}"] for part in ("indptr", "indices", "data"))
            # Keras's and skorch's dense rows, too, come of it; csr_matrix is what a vectorizer returns
            parts.append(scipy.sparse.csr_matrix((data, indices, indptr), (len(indptr) - 1, n_features)))
        return parts[0], file["y"], parts[1], file["y_test"]


def describe(X: Any, what: str) -> str:
    """Return a line on a matrix."""
    stored = X.nnz / X.shape[0]
    density = 100 * stored / X.shape[1]
    return f"{what}: {X.shape[0]:,} × {X.shape[1]:,} CSR, {stored:,.0f} stored values a row ({density:.2g} %)"


def talk_path() -> Path:
    """Return the file of the talk's split, or of its stand-in."""
    return FOLDER / ("talk.npz" if REVIEWS.exists() else "talk-stand-in.npz")


def make_talk(_size: Any = None) -> str:
    """Write the talk's split of its reviews as n-gram counts, or a generated one of the same shape."""
    path = talk_path()
    what = "the talk's movie reviews" if REVIEWS.exists() else "generated, in the shape of the talk's reviews"
    if not path.exists():
        if REVIEWS.exists():
            split = _talk()
        else:
            n_train, n_test, n_features, per_row = TALK
            X, y = corpus(n_train + n_test, n_features, per_row, 0)
            split = (X[:n_train], y[:n_train], X[n_train:], y[n_train:])
        save(path, *split)
    return describe(load(path)[0], what)


def _talk() -> tuple[Any, Any, Any, Any]:
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.model_selection import ShuffleSplit

    sys.path.insert(0, str(ROOT / "examples"))
    from movie_reviews import load as load_reviews

    texts, labels = load_reviews(REVIEWS)
    train, test = next(ShuffleSplit(n_splits=1, test_size=0.25, random_state=1234).split(texts))
    ngrams = CountVectorizer(analyzer="char", ngram_range=(2, 5), max_features=50_000, dtype=np.float32)
    return ngrams.fit_transform(texts[train]), labels[train], ngrams.transform(texts[test]), labels[test]


def make_corpus(
    n_rows: int, n_test: int, n_features: int, per_row: int, *, skew: float = 2.0, signal: float = 3.0
) -> tuple[Path, str]:
    """Write a generated split; return its file and a description."""
    path = FOLDER / f"corpus-{n_rows}-{n_test}-{n_features}-{per_row}-{skew:g}-{signal:g}.npz"
    if not path.exists():
        X, y = corpus(n_rows + n_test, n_features, per_row, 1, skew=skew, signal=signal)
        save(path, X[:n_rows], y[:n_rows], X[n_rows:], y[n_rows:])
    return path, describe(load(path)[0], "generated")
