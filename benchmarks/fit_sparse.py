"""One fit of the talk's network on its data, beside scikit-learn's ``MLPClassifier`` on the same CSR matrix.

    python benchmarks/fit_sparse.py [--data movie_reviews.zip] [--rounds 3] [--epochs 10]

Each round fits both, one after the other, in this process; the table has the medians, their spread and their ratio, and
the ROC AUC of each on the held-out quarter. scikit-learn takes over a minute a fit at ten epochs.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import ShuffleSplit
from sklearn.neural_network import MLPClassifier as SklearnMLP

from ffnn import MLPClassifier

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "examples"))
from movie_reviews import load  # noqa: E402 - the example reads the data

DATA = Path(os.environ.get("FFNN_DATA", ROOT.parent / "shared" / "data")) / "movie_reviews.zip"


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help=f"default: {DATA}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()

    texts, labels = load(args.data)
    train, test = next(ShuffleSplit(n_splits=1, test_size=0.25, random_state=1234).split(texts))
    ngrams = CountVectorizer(analyzer="char", ngram_range=(2, 5), max_features=50_000, dtype=np.float32)
    X, X_test = ngrams.fit_transform(texts[train]), ngrams.transform(texts[test])
    y, y_test = labels[train], labels[test]
    stored = X.nnz / X.shape[0]
    print(
        f"{X.shape[0]} × {X.shape[1]} CSR, {stored:.0f} stored values a row"
        f"; (256,), batches of 64, {args.epochs} epochs"
    )
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")

    MLPClassifier(n_epochs=1, random_state=0).fit(X[:64], y[:64])  # the import of TensorFlow is nobody's fit
    MLPClassifier(n_epochs=1, random_state=0, builder="keras").fit(X[:64], y[:64])
    contestants: dict[str, Callable[[], Any]] = {
        "scikit-learn": lambda: SklearnMLP((256,), batch_size=64, max_iter=args.epochs, alpha=0.0, random_state=42),
        "ffnn, tf": lambda: MLPClassifier((256,), n_epochs=args.epochs, random_state=42),
        "ffnn, keras": lambda: MLPClassifier((256,), n_epochs=args.epochs, random_state=42, builder="keras"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    scores: dict[str, float] = {}
    for _ in range(args.rounds):
        for name, make in contestants.items():
            start = time.perf_counter()
            with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
                fitted = make().fit(X, y)
            seconds[name].append(time.perf_counter() - start)
            scores[name] = roc_auc_score(y_test, fitted.predict_proba(X_test)[:, 1])

    print(f"\n{'':14}{'median':>9}{'min–max':>18}{'times as fast':>15}{'ROC AUC':>9}")
    reference = np.median(seconds["scikit-learn"])
    for name, times in seconds.items():
        spread = f"{min(times):.1f}–{max(times):.1f} s"
        median = np.median(times)
        print(f"{name:14}{median:>7.1f} s{spread:>18}{reference / median:>15.1f}{scores[name]:>9.4f}")


if __name__ == "__main__":
    main()
