"""Small dense data: digits, 50 epochs; the first fit of a process, and those that follow."""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.suite.contest import PEAK, Check, Measurement, Size, Work, faster
from benchmarks.suite.levels import hold, on_avx2
from benchmarks.suite.stopwatch import engine_seconds, peak_mb, seconds

SIZES = {"full": {"epochs": 50, "later": 5}, "quick": {"epochs": 50, "later": 3}, "tiny": {"epochs": 2, "later": 1}}
ENGINES = ("tensorflow", "keras")


def ffnn(hidden: tuple[int, ...], epochs: int, seed: int, *, builder: str) -> Any:
    """Return ffnn's estimator."""
    from ffnn import MLPClassifier

    return MLPClassifier(hidden, batch_size=64, n_epochs=epochs, builder=builder, random_state=seed)


def sklearn(hidden: tuple[int, ...], epochs: int, seed: int) -> Any:
    """Return scikit-learn's estimator, that stops no earlier than ffnn's."""
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(
        hidden, batch_size=64, max_iter=epochs, n_iter_no_change=epochs + 1, alpha=0.0, random_state=seed
    )


NATIVE, FLOAT32 = "ffnn, native", "scikit-learn, X in float32"
#: The digits come in float64, in which scikit-learn then computes; ffnn does so in float32, unless told otherwise.
MAKERS: dict[str, Callable[[tuple[int, ...], int, int], Any]] = {
    "ffnn, tf": partial(ffnn, builder="tf"),
    NATIVE: partial(ffnn, builder="native"),
    "scikit-learn": sklearn,
    FLOAT32: sklearn,
}


def run(hidden: tuple[int, ...], contestant: str, size: Size, number: int) -> Measurement:
    """Fit for the first time, then with other seeds."""
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    warnings.simplefilter("ignore")
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32 if contestant == FLOAT32 else np.float64)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    make = MAKERS[hold(contestant)]
    measured = Measurement()
    if contestant == "ffnn, tf":
        measured.figures["import of the engine s"] = engine_seconds()
    make(hidden, 1, 0)  # the import of the estimator is no part of a fit either
    start = time.perf_counter()
    first = make(hidden, size["epochs"], number).fit(X, y)
    measured.seconds["first fit"] = time.perf_counter() - start
    modules = set(sys.modules)
    times = [
        seconds(lambda seed=seed: make(hidden, size["epochs"], seed).fit(X, y)) for seed in range(1, size["later"] + 1)
    ]
    measured.seconds["later fits"] = statistics.median(times)
    imported = [name for name in set(sys.modules) - modules if name.partition(".")[0] in ENGINES]
    measured.checks.append(Check("modules of the engine imported by later fits", len(imported), 0))
    measured.figures |= {PEAK: peak_mb(), "accuracy": float(first.score(X_test, y_test))}
    if size["epochs"] >= 50:
        measured.checks.append(Check("accuracy", measured.figures["accuracy"], 0.95, at_least=True))
    return measured


def work(hidden: tuple[int, ...], times_as_fast: float) -> Work:
    """Return the work of one architecture."""
    bars = [
        faster("S3", f"{name}: as fast as scikit-learn", ("scikit-learn", name), ("ffnn, tf", name), limit)
        for name, limit in (("first fit", 1.0), ("later fits", times_as_fast))
    ]
    bars += [
        faster("S3", f"{name}: {time}: as fast as scikit-learn", ("scikit-learn", time), (name, time), limit)
        for name in (NATIVE, on_avx2(NATIVE))
        for time, limit in (("first fit", 1.0), ("later fits", times_as_fast))
    ]
    key = "-".join(["digits", *map(str, hidden)])
    contestants = ["ffnn, tf", NATIVE, on_avx2(NATIVE), "scikit-learn", FLOAT32]
    return Work(key, f"{hidden} on digits, 50 epochs", partial(run, hidden), contestants, SIZES, bars)


WORKS = [work((100,), 1.5), work((256, 256), 3.0)]
