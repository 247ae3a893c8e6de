"""The ensemble of a search beside its refitted best, on rows that the search has not seen.

``python benchmarks/ensembles.py`` prints a table: for each data set the mean over the seeds of the score of the
refitted best, of the ensemble (``top=5``), and of their difference with its standard error; then the ensemble's
out-of-fold score. The seed draws the test rows, the folds and the weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ffnn

GRID = {"hidden_units": [(16,), (64,), (32, 32)], "learning_rate": [1e-3, 3e-3, 1e-2]}
DATA: dict[str, tuple[Callable[..., Any], type]] = {
    "digits": (load_digits, ffnn.MLPClassifier),
    "wine": (load_wine, ffnn.MLPClassifier),
    "breast cancer": (load_breast_cancer, ffnn.MLPClassifier),
    "diabetes": (load_diabetes, ffnn.MLPRegressor),
}


def scores(name: str, seed: int) -> tuple[float, float, float]:
    """Return the scores of the refitted best and of the ensemble on test rows, and the out-of-fold score."""
    load, kind = DATA[name]
    X, y = load(return_X_y=True)
    network = make_pipeline(StandardScaler(), kind(n_epochs=100, random_state=seed))
    grid = {f"{kind.__name__.lower()}__{name}": values for name, values in GRID.items()}
    stratified = is_classifier(network)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.4, random_state=seed, stratify=y if stratified else None)
    cv = (StratifiedKFold if stratified else KFold)(5, shuffle=True, random_state=seed)
    model = ffnn.ensemble(GridSearchCV(network, grid, cv=cv), top=5).fit(X, y)
    return model.search_.score(X_test, y_test), model.score(X_test, y_test), model.oof_score_


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = range(parser.parse_args().seeds)
    print("| data | refitted best | ensemble | difference | out of fold |\n| --- | --- | --- | --- | --- |")
    for name in DATA:
        best, ours, out_of_fold = np.array([scores(name, seed) for seed in seeds]).T
        difference = ours - best
        error = difference.std(ddof=1) / np.sqrt(len(seeds))
        means = (best.mean(), ours.mean(), f"{difference.mean():+.4f} ± {error:.4f}", out_of_fold.mean())
        print("|", " | ".join([name, *(m if isinstance(m, str) else f"{m:.4f}" for m in means)]), "|", flush=True)


if __name__ == "__main__":
    main()
