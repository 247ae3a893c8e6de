"""The main job on data that comes with scikit-learn: a search over networks and engines, on two worker processes.

Run it with ``make demo``, or ``python examples/digits.py``. It prints the table of candidates, a baseline and the wall
times of the same search in this process and on the workers. It saves a picture of the loss curves, and what the journal
of the search says, as a report in HTML.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # a file is all that is drawn

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import ffnn
from ffnn import MLPClassifier
from ffnn.cli import main as main_of_ffnn

GRID = {
    "hidden_units": [(64,), (256,), (256, 256)],
    "dropout": [None, 0.3],
    "builder": ["tf", "keras"],
}
FOLDS = 4


def timed_search(X: np.ndarray, y: np.ndarray, n_epochs: int) -> tuple[GridSearchCV, float]:
    """Run the search wherever joblib is told to; return it and its wall time in seconds."""
    search = GridSearchCV(MLPClassifier(n_epochs=n_epochs, random_state=0), GRID, cv=FOLDS)
    start = time.perf_counter()
    search.fit(X, y)
    return search, time.perf_counter() - start


def table(search: GridSearchCV) -> str:
    """Return the candidates, best first."""
    results = search.cv_results_
    lines = [f"{'hidden_units':>14}  {'dropout':>7}  {'builder':>7}  {'accuracy':>16}  {'fit time':>9}"]
    for i in np.argsort(results["rank_test_score"], kind="stable"):
        p = results["params"][i]
        score = f"{results['mean_test_score'][i]:.4f} ± {results['std_test_score'][i]:.4f}"
        seconds = f"{results['mean_fit_time'][i]:.2f} s"
        lines.append(f"{p['hidden_units']!s:>14}  {p['dropout']!s:>7}  {p['builder']:>7}  {score:>16}  {seconds:>9}")
    return "\n".join(lines)


def draw_loss_curves(X: np.ndarray, y: np.ndarray, n_epochs: int, path: Path) -> None:
    """Save a picture of the loss curves of one network a panel, on both engines."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for ax, dropout in zip(axes, GRID["dropout"], strict=True):
        for units in GRID["hidden_units"]:
            for builder, style in zip(GRID["builder"], ("-", ":"), strict=True):
                mlp = MLPClassifier(units, n_epochs=n_epochs, dropout=dropout, builder=builder, random_state=0)
                color = f"C{GRID['hidden_units'].index(units)}"
                width = 4 if style == ":" else 1.5
                mlp.fit(X, y)
                ax.plot(mlp.loss_curve_, style, color=color, linewidth=width, label=f"{units}, {builder}")
        ax.set(title=f"dropout: {dropout}", xlabel="epoch", yscale="log")
    axes[0].set_ylabel("training loss (cross entropy)")
    axes[1].legend(title="hidden units, builder")
    figure.suptitle("Digits: the same network on two engines")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-workers", type=int, default=2, help="worker processes (default: 2)")
    parser.add_argument("--n-epochs", type=int, default=60, help="epochs of each fit (default: 60)")
    parser.add_argument("--output", type=Path, default=Path("output/digits.png"), help="where the picture goes")
    args = parser.parse_args()

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=0.25, random_state=0, stratify=y)
    n_candidates = int(np.prod([len(values) for values in GRID.values()]))
    print(f"Digits: {len(X_train)} images to search on, {len(X_test)} held out; {n_candidates} candidates × {FOLDS}.\n")

    start = time.perf_counter()
    MLPClassifier(n_epochs=1, builder="tf").fit(X_train[:9], y_train[:9])  # imports TensorFlow for the search here
    print(f"TensorFlow imported: {time.perf_counter() - start:.1f} s, in no figure below.")
    print(f"Searching on {args.n_workers} worker processes …", flush=True)
    journal = args.output.with_suffix(".journal")
    shutil.rmtree(journal, ignore_errors=True)  # with it, the search would resume, and no fit would run
    with ffnn.pool("multiprocessing", n_workers=args.n_workers, progress=True, journal=journal):
        search, distributed = timed_search(X_train, y_train, args.n_epochs)
    print("Searching in this process …", flush=True)
    serial, sequential = timed_search(X_train, y_train, args.n_epochs)

    print(f"\n{table(search)}\n")
    scores = [r.cv_results_["mean_test_score"] for r in (search, serial)]
    print(f"Scores on the workers equal those in this process: {np.array_equal(*scores)}")
    print(
        f"Wall time: {sequential:.1f} s in this process, {distributed:.1f} s on {args.n_workers} workers, their start"
    )
    print(f"           and their import of TensorFlow: {sequential / distributed:.2f} times as fast")

    baseline = make_pipeline(MinMaxScaler(), LogisticRegression(max_iter=1000))
    folds = cross_val_score(baseline, X_train, y_train, cv=FOLDS)
    baseline.fit(X_train, y_train)
    print(f"\n{'':24}{'cross-validated':>18}{'held out':>10}")
    best = search.cv_results_["std_test_score"][search.best_index_]
    print(f"{'best network':24}{f'{search.best_score_:.4f} ± {best:.4f}':>18}{search.score(X_test, y_test):>10.4f}")
    print(
        f"{'logistic regression':24}{f'{folds.mean():.4f} ± {folds.std():.4f}':>18}"
        f"{baseline.score(X_test, y_test):>10.4f}"
    )

    draw_loss_curves(X_train, y_train, args.n_epochs, args.output)
    print(f"\nLoss curves: {args.output}")
    report = args.output.with_suffix(".html")
    main_of_ffnn(["journal", "show", str(journal), "--html", str(report)])
    print(f"What the workers did: {report}; or ffnn journal show {journal}")


if __name__ == "__main__":
    main()
