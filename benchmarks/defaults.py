"""The default estimator beside scikit-learn's default network, on sets that need no download.

    python -m benchmarks.defaults [--seeds 3] [--folds 5] [--write]

Cross-validated behind a StandardScaler, on the same folds for all: accuracy for classes, R² for numbers. Nothing but
``random_state`` is set. A third column has ten epochs, ffnn's default on large data. ``--write`` puts the table into
``benchmarks/results/defaults.md``. ``--epochs`` tries other values of ``n_epochs`` in place of both.
"""

from __future__ import annotations

import argparse
import platform
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn import datasets
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ffnn

RESULT = Path(__file__).with_name("results") / "defaults.md"
Load = Callable[[], tuple[Any, Any]]
CLASSES: dict[str, Load] = {
    "digits": lambda: datasets.load_digits(return_X_y=True),
    "breast cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
    "wine": lambda: datasets.load_wine(return_X_y=True),
    "iris": lambda: datasets.load_iris(return_X_y=True),
    "moons, generated": lambda: datasets.make_moons(1000, noise=0.25, random_state=0),
    "20 features, generated": lambda: datasets.make_classification(
        2000, 20, n_informative=8, n_classes=3, class_sep=0.8, random_state=0
    ),
}
NUMBERS: dict[str, Load] = {
    "diabetes": lambda: datasets.load_diabetes(return_X_y=True),
    "Friedman's first": lambda: datasets.make_friedman1(1000, noise=1.0, random_state=0),
}


def measure(make: Callable[[int], Any], data: tuple[Any, Any], folds: Any, n_seeds: int) -> tuple[list[float], float]:
    """Return the score of each seed and fold, and the processor time of a fit."""
    X, y = data
    scores, seconds, n_fits = [], 0.0, 0
    for seed in range(n_seeds):
        for train, test in folds.split(X, y):
            model = make_pipeline(StandardScaler(), make(seed))
            start = time.process_time()
            model.fit(X[train], y[train])
            seconds += time.process_time() - start
            n_fits += 1
            scores.append(model.score(X[test], y[test]))
    return scores, seconds / n_fits


def rows(
    epochs: Sequence[int | str], n_seeds: int, n_folds: int
) -> Iterator[tuple[str, list[tuple[list[float], float]]]]:
    """Measure each data set: scikit-learn's network, then ffnn's with each number of epochs."""
    for sets, peer, ours, kind in (
        (CLASSES, MLPClassifier, ffnn.MLPClassifier, StratifiedKFold),
        (NUMBERS, MLPRegressor, ffnn.MLPRegressor, KFold),
    ):
        folds = kind(n_folds, shuffle=True, random_state=0)
        for name, load in sets.items():
            makers = [lambda seed, peer=peer: peer(random_state=seed)]
            makers += [lambda seed, ours=ours, n=n: ours(n_epochs=n, random_state=seed) for n in epochs]
            yield name, [measure(make, load(), folds, n_seeds) for make in makers]


def verdict(ours: list[float], peers: list[float]) -> str:
    """Return the mean difference, its standard error, and whether it is more than twice that."""
    differences = np.subtract(ours, peers)
    mean, error = differences.mean(), differences.std(ddof=1) / np.sqrt(len(differences))
    outcome = "the same" if abs(mean) <= 2 * error else "better" if mean > 0 else "worse"
    return f"{mean:+.3f} ± {error:.3f}, {outcome}"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", nargs="+", type=int)
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/results")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # scikit-learn's networks stop at their limit of epochs
    epochs = args.epochs or ["auto", 10]
    heads = [f"`n_epochs={n!r}`" if n != "auto" else "ffnn" for n in epochs]
    lines = [
        f"`python -m benchmarks.defaults`: mean ± standard deviation of {args.seeds} seeds × {args.folds} folds; then "
        "the mean difference from scikit-learn's ± its standard error, called the same within two of these; then the "
        f"processor time of a fit. ffnn {ffnn.__version__}, scikit-learn {sklearn.__version__}, Python "
        f"{platform.python_version()}, {platform.machine()}.",
        "",
        "| data | scikit-learn | " + " | ".join(f"{head} | difference" for head in heads) + " | CPU |",
        "| --- | --- |" + " --- | --- |" * len(heads) + " --- |",
    ]
    print("\n".join(lines), flush=True)
    for name, results in rows(epochs, args.seeds, args.folds):
        cells = [f"{np.mean(scores):.3f} ± {np.std(scores):.3f}" for scores, _ in results]
        compared = [verdict(scores, results[0][0]) for scores, _ in results[1:]]
        times = " / ".join(f"{seconds:.2f} s" for _, seconds in results)
        pairs = [f"{cell} | {words}" for cell, words in zip(cells[1:], compared, strict=True)]
        lines.append(f"| {name} | {cells[0]} | " + " | ".join(pairs) + f" | {times} |")
        print(lines[-1], flush=True)
    if args.write:
        RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
