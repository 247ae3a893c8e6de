"""Measures the talk's efficiency on two workers: the sum of the tasks' times over wall time times workers.

    python benchmarks/talk_efficiency.py [--data movie_reviews.zip] [--n-workers 2] [--full] [--warm] [--json FILE]

Without ``--full`` the grid is the talk's (six multilayer perceptrons, three folds), but on a third of the reviews, 5000
n-grams and two epochs, which takes about a minute; with it, it is that of ``examples/movie_reviews.py`` (about eight
minutes). The wall time is from the first submission to the last result, so the start of the workers is in it, but not
the refit, which is one task that runs here. A task's time has its import of the engine in it; ``--warm`` lets every
worker import it beforehand.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import ShuffleSplit

import ffnn
from ffnn import MLPClassifier
from ffnn_plugins.executors.multiprocessing import MultiprocessingExecutor

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "examples"))
from movie_reviews import load, searches  # noqa: E402 - the example reads the data

DATA = Path(os.environ.get("FFNN_DATA", ROOT.parent / "shared" / "data")) / "movie_reviews.zip"


class Recorder(MultiprocessingExecutor):
    """Notes when tasks come and go."""

    def __init__(self, n_workers: int) -> None:
        super().__init__(n_workers)
        self.began: float | None = None
        self.ends: list[float] = []
        self.seconds: list[float] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Submit a task, and note it."""
        self.began = self.began or time.perf_counter()
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(self._note)
        return future

    def _note(self, future: Any) -> None:
        if future.exception() is None:
            self.ends.append(time.perf_counter())
            self.seconds.append(future.seconds)


def import_engine(barrier: float) -> int:
    """Fit a little, and stay until then, so that another worker takes the next task."""
    MLPClassifier(n_epochs=1, builder="tf", random_state=0).fit(np.eye(8), [0, 1] * 4)
    time.sleep(max(barrier - time.time(), 0.0))
    return os.getpid()


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help=f"default: {DATA}")
    parser.add_argument("--n-workers", type=int, default=2)
    parser.add_argument("--full", action="store_true", help="the talk's own size")
    parser.add_argument("--warm", action="store_true", help="import the engine on every worker beforehand")
    parser.add_argument("--json", type=Path, help="where to write the figures, too")
    args = parser.parse_args()
    warnings.simplefilter("ignore")

    texts, labels = load(args.data)
    train, _ = next(ShuffleSplit(n_splits=1, test_size=0.25, random_state=1234).split(texts))
    search = searches("tf")["mlp"].set_params(refit=False)
    if not args.full:
        train = train[::3]
        search.set_params(estimator__char_ngram__max_features=5_000, estimator__mlp__n_epochs=2)
    executor = Recorder(args.n_workers)
    with ffnn.pool(executor, progress=False):
        if args.warm:
            until = time.time() + 30.0
            workers = {
                future.result() for future in [executor.submit(import_engine, until) for _ in range(args.n_workers)]
            }
            assert len(workers) == args.n_workers
            executor.began, executor.ends, executor.seconds = None, [], []
        search.fit(texts[train], labels[train])
    assert executor.began is not None
    end = max(executor.ends)
    wall, work = end - executor.began, sum(executor.seconds)
    capacity = wall * args.n_workers
    tail = sum(end - one for one in sorted(executor.ends)[-args.n_workers :])
    print(
        f"{len(executor.seconds)} tasks on {args.n_workers} workers: {work:.1f} s of work in {wall:.1f} s, "
        f"efficiency {work / capacity:.3f}; {tail / capacity:.3f} was lost at the end, where workers had nothing left "
        f"to do, and {1 - (work + tail) / capacity:.3f} otherwise."
    )
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        figures = {"full": args.full, "warm": args.warm, "n_workers": args.n_workers, "wall": wall}
        figures |= {"tasks": sorted(executor.seconds), "efficiency": work / capacity, "tail": tail / capacity}
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
