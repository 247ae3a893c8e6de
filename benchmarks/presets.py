"""Each preset beside scikit-learn's network, in a sensible pipeline, on tables and texts that need no download.

    python benchmarks/presets.py [--only modern text] [--folds 3] [--write]

Cross-validated: accuracy for classes, R² for numbers, on the same folds for both. A pipeline of scikit-learn's has the
preset's preparation of texts, or one-hot categories and a StandardScaler for tables; its regressors learn standardised
targets, as ours do. Everything else is at its default. Times are those of ``fit``, one after the other in this process,
with the engine imported before. ``--write`` puts the tables into ``benchmarks/results/presets.{json,md}``, beside those
of presets that are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import sklearn
from preset_data import TABLES, TEXTS, DataSet
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, StandardScaler

import ffnn
from ffnn import presets
from ffnn.preprocessing import categorical_columns

RESULTS = Path(__file__).with_name("results") / "presets"
#: The most words or n-grams, so that all of it takes some minutes.
N_TERMS = 1500


def scaled(network: Any) -> Any:
    """Return a network behind one-hot categories and standardised numbers."""
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(
        ColumnTransformer([("one_hot", one_hot, categorical_columns)], remainder=StandardScaler()), network
    )


def scikit_learns(kind: str) -> Any:
    """Return scikit-learn's network, a regressor's targets standardised."""
    if kind == "classifier":
        return MLPClassifier(random_state=0)
    return TransformedTargetRegressor(MLPRegressor(random_state=0), transformer=StandardScaler())


def contestants(preset: str, kind: str) -> tuple[Any, Any]:
    """Return scikit-learn's pipeline and ours."""
    peer = scikit_learns(kind)
    if preset == "talk":
        ours = presets.talk(kind, builder="tf", random_state=0, ngrams__max_features=N_TERMS)
        return make_pipeline(clone(ours["ngrams"]), MaxAbsScaler(), peer), ours
    if preset == "text":
        ours = presets.text(kind, builder="tf", random_state=0, tfidf__max_features=N_TERMS)
        return make_pipeline(clone(ours["tfidf"]), peer), ours
    if preset == "sklearn":
        return scaled(peer), scaled(presets.sklearn(kind, builder="tf", random_state=0))
    if kind == "classifier":
        return scaled(peer), presets.modern(builder="tf", random_state=0)
    return scaled(peer), presets.modern("regressor", builder="tf", random_state=0)


def measure(preset: str, data: DataSet, n_folds: int) -> dict[str, Any]:
    """Return what came out on a data set."""
    X, y = data.load()
    folds = (StratifiedKFold if data.kind == "classifier" else KFold)(n_folds, shuffle=True, random_state=0)
    scores: list[list[float]] = [[], []]
    seconds: list[list[float]] = [[], []]
    for train, test in folds.split(X, y):
        rows = (X.iloc[train], X.iloc[test]) if hasattr(X, "iloc") else (X[train], X[test])
        for i, estimator in enumerate(contestants(preset, data.kind)):
            start = time.perf_counter()
            estimator.fit(rows[0], y[train])
            seconds[i].append(time.perf_counter() - start)
            scores[i].append(estimator.score(rows[1], y[test]))
    features = "" if np.ndim(X) < 2 else X.shape[1]
    return {
        "data": data.name, "source": data.source, "kind": data.kind, "n_samples": len(y), "n_features": features,
        "scikit-learn": scores[0], "preset": scores[1], "seconds": seconds,
    }  # fmt: skip


def verdict(row: dict[str, Any]) -> str:
    """Return "win" or "loss" where the mean difference exceeds its standard error, else "draw"."""
    differences = np.subtract(row["preset"], row["scikit-learn"])
    mean, error = differences.mean(), differences.std(ddof=1) / np.sqrt(len(differences))
    return "draw" if abs(mean) <= error else "win" if mean > 0 else "loss"


def table(preset: str, rows: Sequence[dict[str, Any]]) -> str:
    """Return a preset's table."""
    verdicts = [verdict(row) for row in rows]
    counts = ", ".join(
        f"{n} {one if n == 1 else many}"
        for one, many in (("win", "wins"), ("draw", "draws"), ("loss", "losses"))
        for n in [verdicts.count(one)]
    )
    times = np.median([np.median(row["seconds"][1]) / np.median(row["seconds"][0]) for row in rows])
    lines = [
        f"**`{preset}`**: {counts}; a fit takes {times:.1f} times as long as scikit-learn's (median)", "",
        "| data | from | samples | features | scikit-learn | preset | difference | | time |",
        "| --- | --- | --: | --: | --- | --- | --: | --- | --: |",
    ]  # fmt: skip
    for row, outcome in zip(rows, verdicts, strict=True):
        cells = [f"{np.mean(row[who]):.3f} ± {np.std(row[who]):.3f}" for who in ("scikit-learn", "preset")]
        difference = np.mean(row["preset"]) - np.mean(row["scikit-learn"])
        ratio = np.median(row["seconds"][1]) / np.median(row["seconds"][0])
        measured = "accuracy" if row["kind"] == "classifier" else "R²"
        lines.append(
            f"| {row['data']} ({measured}) | {row['source']} | {row['n_samples']} | {row['n_features']} | {cells[0]} | "
            f"{cells[1]} | {difference:+.3f} | {outcome} | {ratio:.1f} × |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=presets.__all__, default=["sklearn", "modern", "talk", "text"])
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/results")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # scikit-learn's networks stop at their limit of epochs, as by default they may

    ffnn.MLPClassifier(n_epochs=1, builder="tf").fit([[0.0], [1.0]], [0, 1])  # the import of the engine is nobody's fit
    file = RESULTS.with_suffix(".json")
    results = json.loads(file.read_text()) if args.write and file.exists() else {}
    for preset in args.only:
        start = time.perf_counter()
        rows = [measure(preset, data, args.folds) for data in (TEXTS if preset in ("talk", "text") else TABLES)]
        print(table(preset, rows), f"({time.perf_counter() - start:.0f} s)\n", flush=True)
        results[preset] = rows
        if args.write:
            file.write_text(json.dumps(results, indent=1) + "\n")
            RESULTS.with_suffix(".md").write_text(page(results, args.folds))


def page(results: dict[str, list[dict[str, Any]]], n_folds: int) -> str:
    """Return all tables, and how they were made."""
    head = (
        f"`python benchmarks/presets.py`: {n_folds} folds, the same for both; mean ± standard deviation. "
        "A win or a loss is a mean difference greater than its standard error over the folds. "
        f"ffnn {ffnn.__version__} (builder `tf`), scikit-learn {sklearn.__version__}, "
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores that other programs used as "
        "well: times are rough.\n"
    )
    return "\n".join([head, *(table(preset, results[preset]) for preset in presets.__all__ if preset in results)])


if __name__ == "__main__":
    main()
