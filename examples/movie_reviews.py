"""The talk's evaluation: character n-grams of movie reviews, a multilayer perceptron against logistic regression.

M. Heilman (2016), "Implementing distributed grid search for deep learning using TensorFlow, scikit-learn, and joblib":
the talk's grid, its split and its two models, each with the ROC AUC on the held-out quarter and the wall time of its
search, beside the figures that the talk printed.

The data is the polarity data set 2.0 of B. Pang and L. Lee (2004), as NLTK packages it (``movie_reviews.zip``, or the
folder that it unpacks to): ``pos/*.txt`` and ``neg/*.txt``.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
import zipfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

# the talk's logistic regression stops at its iteration limit, as it did then; the workers inherit the filter
os.environ.setdefault("PYTHONWARNINGS", "ignore:lbfgs failed to converge")

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.pipeline import Pipeline

import ffnn
from ffnn import MLPClassifier
from ffnn.doctor.options import UsageError, parse, split
from ffnn.plugins import registry

TALK = {"lr": (0.9119, "4 min"), "mlp": (0.9271, "51 min 32 s")}
TALK_DISTRIBUTED = "16 min 23 s"


def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the reviews, as an array of str, and their polarity, 1 for positive.

    Raises
    ------
    SystemExit
        If the path has no reviews.
    """
    if path.is_dir():
        files = {str(f.relative_to(path)): f.read_bytes() for f in path.rglob("*.txt")}
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist() if name.endswith(".txt")}
    else:
        raise SystemExit(f"--data {path}: expected movie_reviews.zip or the folder that it unpacks to; found neither.")
    ids = sorted(name for name in files if Path(name).parent.name in ("neg", "pos"))
    if not ids:
        raise SystemExit(f"--data {path}: expected reviews as neg/*.txt and pos/*.txt; found none.")
    texts = np.array([files[name].decode("utf-8", errors="replace") for name in ids], dtype=object)
    labels = np.array([int(Path(name).parent.name == "pos") for name in ids])
    return texts, labels


def searches(builder: str) -> dict[str, GridSearchCV]:
    """Return the talk's two searches."""

    def ngrams() -> CountVectorizer:
        return CountVectorizer(analyzer="char", ngram_range=(2, 5), max_features=50_000)

    lr = Pipeline([("char_ngram", ngrams()), ("lr", LogisticRegression(random_state=42))])
    mlp = Pipeline([("char_ngram", ngrams()), ("mlp", MLPClassifier(n_epochs=10, builder=builder, random_state=42))])
    lr_grid = {"lr__C": [0.001, 0.01, 0.1, 1.0, 10.0, 100.0]}
    mlp_grid = {"mlp__hidden_units": [(512,), (256,), (256, 128, 64)], "mlp__dropout": [None, 0.5]}
    # three folds: scikit-learn's default at the time
    return {
        "lr": GridSearchCV(lr, lr_grid, scoring="roc_auc", cv=3),
        "mlp": GridSearchCV(mlp, mlp_grid, scoring="roc_auc", cv=3),
    }


def clock(seconds: float) -> str:
    """Return a duration as the talk writes it."""
    return f"{int(seconds) // 60} min {seconds % 60:.0f} s"


def evaluate(
    texts: np.ndarray, labels: np.ndarray, place: AbstractContextManager[Any], where: str, builder: str
) -> dict[str, GridSearchCV]:
    """Search in a place, print the figures, and return the searches."""
    train, test = next(ShuffleSplit(n_splits=1, test_size=0.25, random_state=1234).split(texts))
    print(f"{len(train)} reviews to search on, {len(test)} held out; searching {where}.")
    scorer = get_scorer("roc_auc")
    found = searches(builder)
    rows = []
    with place as pool:
        for name, search in found.items():
            start = time.perf_counter()
            search.fit(texts[train], labels[train])
            wall = time.perf_counter() - start
            auc = scorer(search, texts[test], labels[test])
            rows.append((name, auc, wall))
            print(f"{name}: best {search.best_params_}, cross-validated {search.best_score_:.4f}", flush=True)

    if pool is not None:
        print(f"\n{pool.summary()}")
    print(f"\n{'':22}{'ROC AUC':>9}{'the talk':>10}{'wall time':>14}{'the talk':>14}")
    for name, auc, wall in rows:
        label = {"lr": "logistic regression", "mlp": f"MLP on {builder}"}[name]
        print(f"{label:22}{auc:>9.4f}{TALK[name][0]:>10.4f}{clock(wall):>14}{TALK[name][1]:>14}")
    print(f"The talk's MLP search took {TALK_DISTRIBUTED} distributed. All times include the refit on all the data.")
    return found


def executor_options(name: str, words: list[str]) -> dict[str, Any]:
    """Return the executor's options that follow on the command line, as ``ffnn doctor`` reads them."""
    return parse(registry.load("executor", name, "--executor"), name, split(words))


def main() -> None:
    """Run the evaluation."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="Further options are the executor's own: --n-workers 2; --hosts alpha beta --workers-per-host 2; "
        "--image ffnn --n-workers 2; --address tls://scheduler:8786",
    )
    default = os.environ.get("FFNN_DATA")
    parser.add_argument(
        "--data",
        type=Path,
        required=default is None,
        default=Path(default, "movie_reviews.zip") if default else None,
        help="movie_reviews.zip or its folder (default: movie_reviews.zip in the folder FFNN_DATA)",
    )
    parser.add_argument("--executor", help="where to search: multiprocessing, ssh, container, dask, or a plugin's name")
    parser.add_argument("--builder", default="tf", help="tf, keras, or a plugin's name (default: tf)")
    args, rest = parser.parse_known_args()
    if rest and args.executor is None:
        parser.error(f"{rest[0]} is an executor's option: name one, for instance with --executor multiprocessing")
    warnings.simplefilter("ignore", ConvergenceWarning)
    place: AbstractContextManager[Any] = nullcontext()
    if args.executor:
        try:
            place = ffnn.pool(args.executor, progress=True, **executor_options(args.executor, rest))
        except (UsageError, ValueError, TypeError) as error:
            parser.error(str(error))

    where = args.executor or "in this process"
    evaluate(*load(args.data), place, where, args.builder)


if __name__ == "__main__":
    main()
