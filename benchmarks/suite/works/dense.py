"""Dense data of some size: one fit beside all peers, and a small search on two threads."""

from __future__ import annotations

import warnings
from typing import Any

from benchmarks.suite.contest import PEAK, Check, Measurement, Size, Work, faster
from benchmarks.suite.fits import FITS, Task
from benchmarks.suite.levels import hold, on_avx2
from benchmarks.suite.stopwatch import peak_mb, seconds

HIDDEN, BATCH = (256, 256), 256
NATIVE, SKLEARN = "ffnn, native", "scikit-learn"
SIZES = {
    "full": {"rows": 20_000, "epochs": 5, "candidates": 4, "folds": 3},
    "quick": {"rows": 20_000, "epochs": 2, "candidates": 2, "folds": 2},
    "tiny": {"rows": 500, "epochs": 1, "candidates": 1, "folds": 2},
}


def samples(rows: int, seed: int) -> tuple[Any, Any]:
    """Return X of 100 features and the class of a product of two of their sums, which no linear model learns."""
    import numpy as np

    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, 100), np.float32)
    return X, (X[:, :5].sum(axis=1) * X[:, 5:10].sum(axis=1) > 0).astype(int)


def run_fit(contestant: str, size: Size, number: int) -> Measurement:
    """Fit once."""
    from sklearn.metrics import roc_auc_score

    fit_it = FITS[hold(contestant)]
    X, y = samples(size["rows"], number)
    fit = fit_it(Task(HIDDEN, size["epochs"], None, None, number, BATCH), X, y)
    auc = float(roc_auc_score(y, fit.scores(X))) if fit.scores is not None else 0.0
    measured = Measurement({"fit": fit.seconds}, {PEAK: fit.peak_mb or 0.0, "ROC AUC on the training data": auc})
    if size["epochs"] >= 5:
        measured.checks.append(Check("ROC AUC on the training data", auc, 0.8, at_least=True))
    return measured


def run_search(contestant: str, size: Size, number: int) -> Measurement:
    """Search over learning rates, warm: what was imported, or traced, is not timed."""
    import numpy as np
    from sklearn.model_selection import GridSearchCV

    contestant = hold(contestant)
    warnings.simplefilter("ignore")
    X, y = samples(size["rows"], number)
    rates = np.geomspace(5e-4, 2e-3, size["candidates"]).tolist()
    if contestant == SKLEARN:
        from sklearn.neural_network import MLPClassifier as SklearnMLP

        model: Any = SklearnMLP(
            HIDDEN, batch_size=BATCH, max_iter=size["epochs"], n_iter_no_change=size["epochs"] + 1, random_state=0
        )
        search = GridSearchCV(model, {"learning_rate_init": rates}, cv=size["folds"], refit=False, n_jobs=2)
        measured = Measurement({"search": seconds(lambda: search.fit(X, y))})
    else:
        import ffnn

        model = ffnn.MLPClassifier(HIDDEN, batch_size=BATCH, n_epochs=size["epochs"], builder="native", random_state=0)
        search = GridSearchCV(model, {"learning_rate": rates}, cv=size["folds"], refit=False)
        with ffnn.pool("threads", n_workers=2):
            measured = Measurement({"search": seconds(lambda: search.fit(X, y))})
    score = float(search.cv_results_["mean_test_score"].mean())
    measured.figures |= {"mean score": score, PEAK: peak_mb()}
    if size["epochs"] >= 5:
        measured.checks.append(Check("mean score", score, 0.7, at_least=True))
    return measured


WORKS = [
    Work(
        "dense",
        "(256, 256), 5 epochs, batches of 256, on 20,000 × 100 dense",
        run_fit,
        [NATIVE, on_avx2(NATIVE), "ffnn, tf", SKLEARN, "Keras", "skorch"],
        SIZES,
        [
            faster("G7", f"{name}: as fast as {peer}", (peer, "fit"), (name, "fit"), limit)
            for name in (NATIVE, on_avx2(NATIVE))
            for peer, limit in ((SKLEARN, 2.5), ("Keras", 1.2), ("skorch", 1.2))
        ],
    ),
    Work(
        "dense-search",
        "a search: 4 candidates of (256, 256), 3 folds, 5 epochs, batches of 256, on 20,000 × 100 dense",
        run_search,
        [NATIVE, on_avx2(NATIVE), SKLEARN],
        SIZES,
        [
            faster("G7", f"{name}: as fast as scikit-learn", (SKLEARN, "search"), (name, "search"), 2.5)
            for name in (NATIVE, on_avx2(NATIVE))
        ],
    ),
]
