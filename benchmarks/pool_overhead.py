"""What a task costs: many short tasks through joblib, on ffnn's workers and on loky's.

    python benchmarks/pool_overhead.py [--tasks 1000] [--seconds 0.01] [--n-workers 2] [--rounds 3]

Each round runs both, one after the other; the floor is the tasks' own time on that many workers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import joblib
import numpy as np

import ffnn


def run_all(n_tasks: int, seconds: float) -> float:
    """Run the tasks where joblib is told to; return the wall time in seconds."""
    start = time.perf_counter()
    joblib.Parallel(batch_size=1)(joblib.delayed(time.sleep)(seconds) for _ in range(n_tasks))
    return time.perf_counter() - start


def on_ffnn(n_tasks: int, seconds: float, n_workers: int) -> float:
    """Run the tasks on warm workers of ffnn."""
    with ffnn.pool("multiprocessing", n_workers=n_workers, progress=False):
        run_all(4 * n_workers, seconds)
        return run_all(n_tasks, seconds)


def on_loky(n_tasks: int, seconds: float, n_workers: int) -> float:
    """Run the tasks on warm workers of loky."""
    with joblib.parallel_config("loky", n_jobs=n_workers):
        run_all(4 * n_workers, seconds)
        return run_all(n_tasks, seconds)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=0.01, help="the length of a task")
    parser.add_argument("--n-workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    contestants: dict[str, Callable[..., float]] = {"loky": on_loky, "ffnn": on_ffnn}
    walls: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(args.rounds):
        for name, measure in contestants.items():
            walls[name].append(measure(args.tasks, args.seconds, args.n_workers))

    floor = args.tasks * args.seconds / args.n_workers
    print(f"{args.tasks} tasks of {args.seconds * 1e3:g} ms on {args.n_workers} workers; floor {floor:.2f} s\n")
    print(f"{'':6}{'median':>9}{'min–max':>16}{'over the floor':>16}{'of loky':>9}")
    reference = np.median(walls["loky"])
    for name, times in walls.items():
        median = np.median(times)
        spread = f"{min(times):.2f}–{max(times):.2f} s"
        print(f"{name:6}{median:>7.2f} s{spread:>16}{median / floor:>16.2f}{median / reference:>9.2f}")


if __name__ == "__main__":
    main()
