"""The talk's fit, on a sparse matrix of n-gram counts, and the same on a corpus of another shape."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.suite import data
from benchmarks.suite.contest import ANONYMOUS, PEAK, Bar, Check, Measurement, Results, Size, Work, faster, within
from benchmarks.suite.fits import FITS, Task
from benchmarks.suite.floor import floor
from benchmarks.suite.levels import hold, on_avx2
from benchmarks.suite.stopwatch import watched

AUC = "ROC AUC"
PEERS = ["scikit-learn", "Keras", "skorch"]
WRAPPERS = ["Keras's wrapper", "scikeras"]
SIZES = {
    "full": {"epochs": 10, "peer_rows": None, "sklearn_steps": None, "repeats": 15},
    "quick": {"epochs": 3, "peer_rows": 512, "sklearn_steps": 2, "repeats": 3},
    "tiny": {"epochs": 1, "peer_rows": 128, "sklearn_steps": 1, "repeats": 1},
}
FORKED = ["ffnn, keras", "Keras", *WRAPPERS, "floor"]  # not ffnn, tf: its memory is a figure
SECOND = (4_000, 1_000, 30_000, 600)


def second_corpus() -> tuple[Path, str]:
    """Write the corpus of another shape: Zipf's law, 2 % density."""
    return data.make_corpus(*SECOND, skew=0.0, signal=1.0)


def run(hidden: Sequence[int], second: bool, contestant: str, size: Size, number: int) -> Measurement:
    """Fit once, and score what was held out."""
    X, y, X_test, y_test = data.load(second_corpus()[0] if second else data.talk_path())
    if contestant == "floor":
        seconds, parts = floor(X, hidden, size["epochs"], size["repeats"])
        return Measurement({"fit": seconds}, parts, note="computed from its parts")
    task = Task(hidden, size["epochs"], size["peer_rows"], size["sklearn_steps"], seed=42 + number)
    fit_it = FITS[hold(contestant)]
    with watched(every=0.02) as watch:  # rarely enough to cost no percent
        fit = fit_it(task, X, y)
    measured = Measurement({"fit": fit.seconds}, note=fit.note)
    if fit.peak_mb is not None:
        measured.figures |= {PEAK: fit.peak_mb, ANONYMOUS: watch.peak_mb}
    if fit.engine:
        measured.figures["import of the engine s"] = fit.engine
    if fit.scores is not None:
        from sklearn.metrics import roc_auc_score

        auc = float(roc_auc_score(y_test, fit.scores(X_test)))
        measured.figures[AUC] = auc
        if size["epochs"] > 1:
            measured.checks.append(Check(AUC, auc, 0.7, at_least=True))
    return measured


def auc_difference(results: Results) -> float:
    """Return how far ffnn's ROC AUC is above scikit-learn's."""
    return results.median("ffnn, tf", AUC) - results.median("scikit-learn", AUC)


ME = ("ffnn, tf", "fit")
OURS = ["ffnn, native", "ffnn, tf"]
BARS = [
    *[
        faster("S1", f"{name}: as fast as scikit-learn", ("scikit-learn", "fit"), (name, "fit"), 10)
        for name in ("ffnn, native", *map(on_avx2, OURS))
    ],
    within("S7", "native: of scikit-learn's peak memory", ("ffnn, native", PEAK), ("scikit-learn", PEAK), 1.0),
    faster("S1", "as fast as scikit-learn", ("scikit-learn", "fit"), ME, 10),
    faster("S1", "as fast as Keras on a dense X", ("Keras", "fit"), ME, 2.5),
    faster("S1", "as fast as skorch on a dense X", ("skorch", "fit"), ME, 3.5),
    within("S1", "of the floor", ME, ("floor", "fit"), 1.3),
    # seeds differ by about that much on 500 rows
    Bar("S1", "ROC AUC above scikit-learn's", auc_difference, -0.005, unit=""),
    faster("S2", "builder keras: as fast as Keras on a dense X", ("Keras", "fit"), ("ffnn, keras", "fit"), 2),
    within("S7", "of scikit-learn's peak memory", ("ffnn, tf", PEAK), ("scikit-learn", PEAK), 1.0),
    within("S7", "the same, anonymous memory alone", ("ffnn, tf", ANONYMOUS), ("scikit-learn", ANONYMOUS), 1.0),
]


def work(hidden: tuple[int, ...], *, second: bool = False, wrappers: bool = False) -> Work:
    """Return the work of one architecture."""
    contestants = [
        "ffnn, tf",
        "ffnn, native",
        *map(on_avx2, OURS),
        "ffnn, keras",
        *PEERS,
        *(WRAPPERS if wrappers else []),
        "floor",
    ]
    key = "-".join(["corpus" if second else "talk", *map(str, hidden)])
    where = "a corpus of 4,000 × 30,000, 2 %" if second else "the talk's 1,500 × 50,000, 12 %"

    def prepare(size: Size) -> Any:
        return second_corpus()[1] if second else data.make_talk(size)

    return Work(
        key,
        f"{hidden} on {where}",
        partial(run, hidden, second),
        contestants,
        SIZES,
        BARS,
        prepare,
        forked=FORKED,
    )


WORKS = [work((256,), wrappers=True), work((512,)), work((256, 128, 64)), work((256,), second=True)]
