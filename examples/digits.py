"""A search on data that comes with scikit-learn: beside scikit-learn's own network, with a killed worker, and resumed.

Run it with ``make demo``, or ``python examples/digits.py``. The same grid is searched three times:

1. over scikit-learn's ``MLPClassifier``, with ``n_jobs``;
2. over ffnn's, on as many workers, one of which is killed on the way;
3. over ffnn's in a process that is killed half-way and started again.

It prints the candidates and the wall times, and saves a picture of the loss curves and a report in HTML.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # a file is all that is drawn

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier as SklearnMLP

import ffnn
from ffnn import MLPClassifier

HIDDEN = [(64,), (256,), (256, 256)]
RATES = [5e-4, 1e-3, 2e-3, 4e-3]
FOLDS, BATCH = 4, 64
N_FITS = len(HIDDEN) * len(RATES) * FOLDS


def ffnn_search(n_epochs: int) -> GridSearchCV:
    """Return the search over ffnn's networks."""
    mlp = MLPClassifier(batch_size=BATCH, n_epochs=n_epochs, random_state=0)
    return GridSearchCV(mlp, {"hidden_units": HIDDEN, "learning_rate": RATES}, cv=FOLDS)


def sklearn_search(n_epochs: int, n_jobs: int) -> GridSearchCV:
    """Return the same search over scikit-learn's networks."""
    mlp = SklearnMLP(batch_size=BATCH, max_iter=n_epochs, n_iter_no_change=n_epochs + 1, alpha=0.0, random_state=0)
    grid = {"hidden_layer_sizes": HIDDEN, "learning_rate_init": RATES}
    return GridSearchCV(mlp, grid, cv=FOLDS, n_jobs=n_jobs)


def timed(search: GridSearchCV, X: np.ndarray, y: np.ndarray) -> float:
    """Run a search; return its wall time in seconds."""
    start = time.perf_counter()
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        search.fit(X, y)
    return time.perf_counter() - start


def kill_a_worker(pool: Any, after: float) -> threading.Timer:
    """Kill a worker of the pool in so many seconds."""
    timer = threading.Timer(after, os.kill, (pool.submit(os.getpid).result(), signal.SIGKILL))
    timer.start()
    return timer


def recorded(journal: Path) -> int:
    """Return the number of fits in a journal, as the command line shows them."""
    command = [sys.executable, "-m", "ffnn", "journal", "show", str(journal), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return sum(search["n_tasks"] for search in json.loads(done.stdout)["searches"]) if done.returncode == 0 else 0


def search_and_be_killed(arguments: list[str], journal: Path) -> int:
    """Run the search in another process, and kill that when half of it is recorded; return how much was."""
    child = subprocess.Popen([sys.executable, __file__, "--only-search", *arguments])
    while child.poll() is None and recorded(journal) < N_FITS // 2:
        time.sleep(0.05)
    child.kill()
    child.wait()
    return recorded(journal)


def table(search: GridSearchCV) -> str:
    """Return the candidates, best first."""
    results = search.cv_results_
    lines = [f"{'hidden_units':>14}  {'learning_rate':>13}  {'accuracy':>16}  {'fit time':>8}"]
    for i in np.argsort(results["rank_test_score"], kind="stable"):
        p = results["params"][i]
        score = f"{results['mean_test_score'][i]:.4f} ± {results['std_test_score'][i]:.4f}"
        seconds = f"{results['mean_fit_time'][i]:.2f} s"
        lines.append(f"{p['hidden_units']!s:>14}  {p['learning_rate']:>13g}  {score:>16}  {seconds:>8}")
    return "\n".join(lines)


def draw_loss_curves(X: np.ndarray, y: np.ndarray, n_epochs: int, path: Path) -> None:
    """Save a picture of the loss curves, a panel for each architecture."""
    figure, axes = plt.subplots(1, len(HIDDEN), figsize=(12, 4), sharey=True, layout="constrained")
    for ax, units in zip(axes, HIDDEN, strict=True):
        for rate in RATES:
            mlp = MLPClassifier(units, batch_size=BATCH, n_epochs=n_epochs, learning_rate=rate, random_state=0)
            ax.plot(mlp.fit(X, y).loss_curve_, label=f"{rate:g}")
        ax.set(title=f"hidden units: {units}", xlabel="epoch", yscale="log")
    axes[0].set_ylabel("training loss (cross entropy)")
    axes[-1].legend(title="learning rate")
    figure.savefig(path, dpi=120)


def main() -> None:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n-workers", type=int, default=2, help="worker processes (default: 2)")
    parser.add_argument("--n-epochs", type=int, default=50, help="epochs of each fit (default: 50)")
    parser.add_argument("--output", type=Path, default=Path("output"), help="the folder of the picture and the report")
    parser.add_argument("--only-search", action="store_true", help="run the search with its journal, and nothing else")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    journal = args.output / "digits.journal"

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=0.25, random_state=0, stratify=y)
    X_train = X_train.astype(np.float32)  # scikit-learn's network is faster for it, too
    if args.only_search:
        with ffnn.pool("multiprocessing", n_workers=args.n_workers, progress=False, journal=journal):
            ffnn_search(args.n_epochs).fit(X_train, y_train)
        return
    shutil.rmtree(journal, ignore_errors=True)  # of another run, from which this one would resume
    print(
        f"Digits: {len(X_train)} images to search on, {len(X_test)} held out; {N_FITS} fits of {args.n_epochs} epochs."
    )

    print(f"\n1. scikit-learn's MLPClassifier, n_jobs={args.n_workers} …", flush=True)
    theirs = sklearn_search(args.n_epochs, args.n_workers)
    their_time = timed(theirs, X_train, y_train)
    print(f"   {their_time:.1f} s, best accuracy {theirs.best_score_:.4f}")

    print(f"\n2. ffnn's MLPClassifier on {args.n_workers} workers, one of which is killed …", flush=True)
    ours = ffnn_search(args.n_epochs)
    with ffnn.pool("multiprocessing", n_workers=args.n_workers, progress=True) as pool:
        killer = kill_a_worker(pool, after=1.0)
        our_time = timed(ours, X_train, y_train)
    killer.cancel()
    print(f"   {our_time:.1f} s, best accuracy {ours.best_score_:.4f}: {their_time / our_time:.1f} times as fast")

    print("\n3. The same in a process that is killed half-way, and then again …", flush=True)
    arguments = ["--n-workers", str(args.n_workers), "--n-epochs", str(args.n_epochs), "--output", str(args.output)]
    n_before = search_and_be_killed(arguments, journal)
    resumed = ffnn_search(args.n_epochs)
    with ffnn.pool("multiprocessing", n_workers=args.n_workers, progress=True, journal=journal):
        resumed_time = timed(resumed, X_train, y_train)
    equal = np.array_equal(resumed.cv_results_["mean_test_score"], ours.cv_results_["mean_test_score"])
    print(f"   {n_before} of {N_FITS} fits were recorded; the rest took {resumed_time:.1f} s. Scores equal: {equal}")

    print(f"\n{table(resumed)}\n")
    print(f"Accuracy of the best network on the images held out: {resumed.score(X_test, y_test):.4f}")
    picture, report = args.output / "digits.png", args.output / "digits.html"
    draw_loss_curves(X_train, y_train, args.n_epochs, picture)
    subprocess.run(
        [sys.executable, "-m", "ffnn", "journal", "show", str(journal), "--html", str(report)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    print(f"Loss curves: {picture}\nThe search, to open in a browser: {report}")


if __name__ == "__main__":
    main()
