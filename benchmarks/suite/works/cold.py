"""A cold process, from its start to the first prediction: imports, a fit of the digits, ten rows predicted."""

from __future__ import annotations

import warnings
from typing import Any

from benchmarks.suite.contest import PEAK, Measurement, Size, Work, faster, within
from benchmarks.suite.levels import hold, on_avx2
from benchmarks.suite.stopwatch import peak_mb, seconds_since_start

OURS, TF, SKLEARN = "ffnn, native", "ffnn, tf", "scikit-learn"
WALL = "to the first prediction"
SIZES = {"full": {"epochs": 10}, "quick": {"epochs": 10}, "tiny": {"epochs": 1}}


def run(contestant: str, size: Size, _number: int) -> Measurement:
    """Do what a short script does."""
    contestant = hold(contestant)
    warnings.simplefilter("ignore")
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype("float32")
    model: Any
    if contestant == SKLEARN:
        from sklearn.neural_network import MLPClassifier as SklearnMLP

        model = SklearnMLP((100,), batch_size=64, max_iter=size["epochs"], random_state=0)
    else:
        from ffnn import MLPClassifier

        builder = contestant.removeprefix("ffnn, ")
        model = MLPClassifier((100,), batch_size=64, n_epochs=size["epochs"], builder=builder, random_state=0)
    model.fit(X, y).predict(X[:10])
    return Measurement({WALL: seconds_since_start()}, {PEAK: peak_mb()})


WORKS = [
    Work(
        "cold",
        "a cold process: imports, digits, (100,), 10 epochs, a prediction",
        run,
        [OURS, on_avx2(OURS), TF, SKLEARN],
        SIZES,
        [
            *[
                faster("G5", f"{name}: as fast as scikit-learn", (SKLEARN, WALL), (name, WALL), 1.0)
                for name in (OURS, on_avx2(OURS))
            ],
            within("G5", "of scikit-learn's peak memory", (OURS, PEAK), (SKLEARN, PEAK), 1.0),
        ],
        rounds={"full": 9, "quick": 3},
        discarded=1,
    )
]
