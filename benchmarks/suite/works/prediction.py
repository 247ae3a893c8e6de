"""Prediction: many dense rows, the talk's test set, and one row."""

from __future__ import annotations

from typing import Any

from benchmarks.suite import data
from benchmarks.suite.contest import PEAK, Bar, Check, Measurement, Size, Work, faster, within
from benchmarks.suite.levels import hold, on_avx2
from benchmarks.suite.stopwatch import engine_seconds, median_seconds, peak_mb

NATIVE = "ffnn, native"
DENSE, TALK, ROW, SPARSE_ROW = "dense X", "the talk's test set", "one dense row", "one CSR row"
SIZES = {
    "full": {"rows": 100_000, "repeats": 5, "calls": 300},
    "quick": {"rows": 100_000, "repeats": 3, "calls": 100},
    "tiny": {"rows": 1_000, "repeats": 1, "calls": 3},
}


def make(contestant: str) -> Any:
    """Return an estimator of one epoch."""
    if contestant.startswith("ffnn"):
        from ffnn import MLPClassifier

        return MLPClassifier((256,), n_epochs=1, builder=contestant.removeprefix("ffnn, "), random_state=0)
    from sklearn.neural_network import MLPClassifier as SklearnMLP

    return SklearnMLP((256,), batch_size=64, max_iter=1, random_state=0)


def apart(model: Any, X: Any) -> float:
    """Return the largest difference between a model's probabilities and those of its weights, in NumPy."""
    import numpy as np

    hidden = np.maximum(X @ model.coefs_[0].astype(np.float64) + model.intercepts_[0], 0)
    scores = (hidden @ model.coefs_[1] + model.intercepts_[1]).ravel()
    return float(np.abs(model.predict_proba(X)[:, 1] - 1 / (1 + np.exp(-scores))).max())


def run(contestant: str, size: Size, number: int) -> Measurement:
    """Train a little, then predict, warm."""
    import numpy as np

    contestant = hold(contestant)
    if contestant == "ffnn, tf":
        engine_seconds()
    rng = np.random.default_rng(number)
    X = rng.standard_normal((size["rows"], 1_000), np.float32)
    y = (X[:, 0] > 0).astype(int)
    X_talk, y_talk, X_test, _ = data.load(data.talk_path())
    model = make(contestant).fit(X[:2_000], y[:2_000])
    measured = Measurement()
    measured.seconds[DENSE] = median_seconds(lambda: model.predict_proba(X), size["repeats"])
    measured.seconds[ROW] = median_seconds(lambda: model.predict_proba(X[:1]), size["calls"])
    measured.checks.append(Check("largest difference of a probability, dense", apart(model, X[:2_000]), 1e-5))
    model = make(contestant).fit(X_talk[:128], y_talk[:128])
    measured.seconds[TALK] = median_seconds(lambda: model.predict_proba(X_test), size["repeats"])
    measured.seconds[SPARSE_ROW] = median_seconds(lambda: model.predict_proba(X_test[:1]), size["calls"])
    measured.checks.append(Check("largest difference of a probability, CSR", apart(model, X_test), 1e-5))
    measured.figures[PEAK] = peak_mb()
    return measured


def milliseconds(name: str) -> Bar:
    """Return the bar of one row."""
    return Bar("S5", name, lambda results: 1e3 * results.median("ffnn, tf", name), 2.0, at_least=False, unit=" ms")


WORKS = [
    Work(
        "prediction",
        "prediction, (256,): 100,000 × 1,000 dense, the talk's 500 × 50,000 CSR, one row",
        run,
        ["ffnn, tf", NATIVE, on_avx2(NATIVE), "scikit-learn"],
        SIZES,
        [
            *[
                faster("S5", f"{name}: as fast as scikit-learn", ("scikit-learn", name), ("ffnn, tf", name), 1.0)
                for name in (DENSE, TALK)
            ],
            milliseconds(ROW),
            milliseconds(SPARSE_ROW),
            *[
                within("G6", f"{name}: one dense row, of scikit-learn's time", (name, ROW), ("scikit-learn", ROW), 1.3)
                for name in (NATIVE, on_avx2(NATIVE))
            ],
        ],
        data.make_talk,
        forked=["ffnn, tf"],
    )
]
