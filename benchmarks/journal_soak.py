"""A search of 2,000 fits whose workers are killed every few seconds and whose client is killed three times.

``python benchmarks/journal_soak.py`` runs the search without a fault and then with them, each with a journal, and fails
unless the results are those of the serial search and each fit is recorded once. It prints what the faults cost.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier

import ffnn
from ffnn.parallel.journal.store import JournalFolder

FOLDS = 4
WORKER = "ffnn.parallel.tasks.child"


def search(n_tasks: int, **options: Any) -> GridSearchCV:
    """Make a search of that many fits of some 20 ms."""
    candidates = {"min_impurity_decrease": np.linspace(0, 0.01, n_tasks // FOLDS)}
    return GridSearchCV(DecisionTreeClassifier(random_state=0), candidates, cv=FOLDS, refit=False, **options)


def results(fitted: GridSearchCV) -> np.ndarray:
    """Return all scores."""
    return np.array([fitted.cv_results_[f"split{i}_test_score"] for i in range(FOLDS)])


def client(folder: Path, n_tasks: int) -> None:
    """Run the search; leave its scores, and the memory and the descriptors of this process."""
    X, y = load_digits(return_X_y=True)
    process = psutil.Process()
    with ffnn.pool(n_workers=2, journal=folder / "run", progress=False, max_retries=20):
        search(8).fit(X, y)
        before = process.memory_info().rss, process.num_fds()
        fitted = search(n_tasks).fit(X, y)
        after = process.memory_info().rss, process.num_fds()
    np.savez(folder / "scores.npz", scores=results(fitted), before=before, after=after)


def recorded(folder: Path) -> Counter[str]:
    """Return how often each fit is recorded."""
    if not (folder / "run").is_dir():
        return Counter()
    metas = (record.meta for _, record in JournalFolder(folder / "run").new_records())
    return Counter(meta["key"] for meta in metas if meta["kind"] == "result")


def run(folder: Path, n_tasks: int, kill_clients: int, every: float) -> dict[str, Any]:
    """Run the search in clients until one of them gets to the end."""
    chance, killed, start = random.Random(0), Counter[str](), time.perf_counter()
    command = [sys.executable, __file__, "--client", str(folder), "--tasks", str(n_tasks)]
    limits = [n_tasks * (i + 1) // (kill_clients + 1) for i in range(kill_clients)]
    while True:
        with subprocess.Popen(command) as process:
            next_kill = time.perf_counter() + every
            while process.poll() is None:
                time.sleep(0.2)
                if every and time.perf_counter() > next_kill:
                    next_kill += every
                    with contextlib.suppress(psutil.Error, IndexError):
                        found = psutil.Process(process.pid).children(recursive=True)
                        chance.choice([p for p in found if WORKER in " ".join(p.cmdline())]).kill()
                        killed["workers"] += 1
                if limits and len(recorded(folder)) > limits[0]:
                    limits.pop(0)
                    process.kill()
                    killed["clients"] += 1
        if process.returncode == 0:
            return {"seconds": time.perf_counter() - start, **killed}
        if process.returncode != -9:
            raise SystemExit(f"the client ended with {process.returncode}")


def main() -> None:
    """Run the search in sequence, undisturbed, and with faults; compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two killed workers")
    parser.add_argument("--client", type=Path)
    arguments = parser.parse_args()
    if arguments.client:
        client(arguments.client, arguments.tasks)
        return
    expected = results(search(arguments.tasks).fit(*load_digits(return_X_y=True)))
    for name, kill_clients, every in [("undisturbed", 0, 0.0), ("with faults", 3, arguments.every)]:
        folder = Path(tempfile.mkdtemp(prefix="ffnn-soak-"))
        try:
            told = run(folder, arguments.tasks, kill_clients, every)
            counts, found = recorded(folder), np.load(folder / "scores.npz")
            np.testing.assert_array_equal(found["scores"], expected)
            assert set(counts.values()) == {1}, counts.most_common(3)
            print(f"{name}: {told}; {len(counts)} records, each once; equal to the serial search")
            for what, before, after in zip(("memory", "descriptors"), found["before"], found["after"], strict=True):
                print(f"  {what} of the last client: {before:,} before, {after:,} after")
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
