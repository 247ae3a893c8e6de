"""Wide and very sparse data: the cost should follow the stored values, not the features."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.suite import data
from benchmarks.suite.contest import PEAK, Check, Measurement, Size, Work, faster, within
from benchmarks.suite.fits import Task
from benchmarks.suite.fits import sklearn as fit_sklearn
from benchmarks.suite.stopwatch import engine_seconds, peak_mb

HIDDEN, EPOCHS, STORED = (128,), 2, 100
WIDE, NARROW, SKLEARN = "ffnn, 1,000,000 features", "ffnn, 100,000 features", "scikit-learn, 1,000,000 features"
SIZES = {
    "full": {"rows": 20_000, "features": {WIDE: 1_000_000, NARROW: 100_000, SKLEARN: 1_000_000}, "sklearn_steps": 4},
    "quick": {"rows": 5_000, "features": {WIDE: 1_000_000, NARROW: 100_000, SKLEARN: 1_000_000}, "sklearn_steps": 1},
    "tiny": {"rows": 300, "features": {WIDE: 10_000, NARROW: 1_000, SKLEARN: 10_000}, "sklearn_steps": 1},
}
FIT, ALONE = "fit", "epochs alone"


def split(rows: int, n_features: int) -> Any:
    """Write a split, unless it is there; return its file and its description."""
    return data.make_corpus(rows, rows // 10, n_features, STORED, skew=3.0)


def prepare(size: Size) -> str:
    """Write both matrices."""
    return "; ".join(split(size["rows"], n)[1] for n in sorted(set(size["features"].values()), reverse=True))


def equality() -> list[Check]:
    """Fit one problem as CSR and as a dense X, from the same seed: the weights must agree."""
    import numpy as np

    from ffnn import MLPClassifier

    X, y = data.corpus(2_000, 20_000, 20, 7, skew=3.0)
    fitted = [
        MLPClassifier((32,), batch_size=64, n_epochs=3, builder="tf", dtype="float32", random_state=0).fit(rows, y)
        for rows in (X, X.toarray())
    ]
    weights = zip(*[[*model.coefs_, *model.intercepts_] for model in fitted], strict=True)
    apart = max(float(np.abs(sparse - dense).max()) for sparse, dense in weights)
    scores = [model.predict_proba(X)[:, 1] for model in fitted]
    scores_apart = float(np.abs(scores[0] - scores[1]).max())
    return [
        Check("CSR against dense: difference of a weight", apart, 1e-4),
        Check("CSR against dense: difference of a probability", scores_apart, 1e-4),
    ]


def run(contestant: str, size: Size, number: int) -> Measurement:
    """Fit, and once more with a look at the clock after each epoch."""
    X, y, X_test, y_test = data.load(split(size["rows"], size["features"][contestant])[0])
    if contestant == SKLEARN:
        fit = fit_sklearn(Task(HIDDEN, EPOCHS, None, size["sklearn_steps"], seed=number), X, y)
        return Measurement({FIT: fit.seconds}, {PEAK: fit.peak_mb}, note=fit.note)
    from sklearn.metrics import roc_auc_score

    from ffnn import MLPClassifier

    engine = engine_seconds()
    model = MLPClassifier(HIDDEN, batch_size=64, n_epochs=EPOCHS, builder="tf", random_state=number)
    start = time.perf_counter()
    model.fit(X, y)
    measured = Measurement({FIT: time.perf_counter() - start}, {PEAK: peak_mb(), "import of the engine s": engine})
    ends: list[float] = []
    model.fit(X, y, monitor=lambda *_: ends.append(time.perf_counter()))
    # what was before the first epoch's end is set-up, too
    measured.seconds[ALONE] = EPOCHS * (ends[-1] - ends[0]) / (EPOCHS - 1)
    auc = float(roc_auc_score(y_test, model.predict_proba(X_test)[:, 1]))
    measured.figures["ROC AUC"] = auc
    if contestant == WIDE:  # after the peak memory was taken
        measured.checks += equality()
        measured.figures |= {check.name: check.value for check in measured.checks}
    if size["rows"] >= 20_000:
        measured.checks.append(Check("ROC AUC", auc, 0.7, at_least=True))
    return measured


WORKS = [
    Work(
        "wide",
        "(128,), 2 epochs, on wide rows of 100 stored values",
        run,
        [WIDE, NARROW, SKLEARN],
        SIZES,
        [
            faster("S4", "as fast as scikit-learn", (SKLEARN, FIT), (WIDE, FIT), 30),
            within("S4", "1,000,000 features: of 100,000, epochs alone", (WIDE, ALONE), (NARROW, ALONE), 1.5),
            within("S4", "1,000,000 features: of 100,000, with set-up", (WIDE, FIT), (NARROW, FIT), 2.0),
        ],
        prepare,
        forked=[WIDE, NARROW],
    )
]
