"""The talk's whole search: its texts, the vectoriser in the pipeline, the refit included.

scikit-learn's network has no dropout, so its grid has half of the candidates.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

from benchmarks.suite import data
from benchmarks.suite.contest import PEAK, Bar, Check, Measurement, Results, Size, Work, faster
from benchmarks.suite.levels import hold, on_avx2
from benchmarks.suite.stopwatch import peak_mb, seconds_since_start

OURS, APART, SKLEARN = "ffnn, two workers, share=True", "ffnn, two workers", "scikit-learn, n_jobs=2, half of the grid"
WALL, AUC = "search and refit", "ROC AUC"
SIZES = {
    "full": {"texts": None, "features": 50_000, "epochs": 10},
    "quick": {"texts": 400, "features": 5_000, "epochs": 3},
    "tiny": {"texts": 60, "features": 500, "epochs": 1},
}
HIDDEN = [(512,), (256,), (256, 128, 64)]


def prepare(_size: Size) -> str:
    """Check that the reviews are there, and return a line that describes them.

    Raises
    ------
    FileNotFoundError
        If the reviews are not there: generated texts would say nothing of a vectoriser.
    """
    if not data.REVIEWS.exists():
        raise FileNotFoundError(f"{data.REVIEWS}: the talk's reviews are not there; name their folder in FFNN_DATA")
    return "the talk's movie reviews, as texts"


def run(contestant: str, size: Size, _number: int) -> Measurement:
    """Search over the talk's grid, from the start of the process; then score what was held out."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GridSearchCV, ShuffleSplit
    from sklearn.pipeline import Pipeline

    contestant = hold(contestant)
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(data.ROOT / "examples"))
    from movie_reviews import load

    texts, labels = load(data.REVIEWS)
    train, test = next(ShuffleSplit(n_splits=1, test_size=0.25, random_state=1234).split(texts))
    train, test = train[: size["texts"]], test[: size["texts"]]
    ngrams = CountVectorizer(analyzer="char", ngram_range=(2, 5), max_features=size["features"])
    model: Any
    if contestant == SKLEARN:
        from sklearn.neural_network import MLPClassifier as SklearnMLP

        epochs = size["epochs"]
        model = SklearnMLP(batch_size=64, max_iter=epochs, n_iter_no_change=epochs + 1, alpha=0.0, random_state=42)
        grid: dict[str, Any] = {"mlp__hidden_layer_sizes": HIDDEN}
        search = GridSearchCV(Pipeline([("ngrams", ngrams), ("mlp", model)]), grid, scoring="roc_auc", cv=3, n_jobs=2)
        search.fit(texts[train], labels[train])
    else:
        import ffnn

        model = ffnn.MLPClassifier(batch_size=64, n_epochs=size["epochs"], random_state=42)
        grid = {"mlp__hidden_units": HIDDEN, "mlp__dropout": [None, 0.5]}
        search = GridSearchCV(Pipeline([("ngrams", ngrams), ("mlp", model)]), grid, scoring="roc_auc", cv=3)
        options = {"share": True} if contestant == OURS else {}
        with ffnn.pool("multiprocessing", n_workers=2, **options):
            search.fit(texts[train], labels[train])
    measured = Measurement({WALL: seconds_since_start()}, {PEAK: peak_mb()})
    auc = float(roc_auc_score(labels[test], search.predict_proba(texts[test])[:, 1]))
    measured.figures[AUC] = auc
    if size["texts"] is None:
        measured.checks.append(Check(AUC, auc, 0.9, at_least=True))
    return measured


def auc_difference(results: Results) -> float:
    """Return how far ffnn's ROC AUC is above scikit-learn's."""
    return results.median(OURS, AUC) - results.median(SKLEARN, AUC)


WORKS = [
    Work(
        "search-talk",
        "the talk's search: n-grams in the pipeline, 6 candidates (scikit-learn: 3), 3 folds, and the refit",
        run,
        [OURS, on_avx2(OURS), APART, SKLEARN],
        SIZES,
        [
            *[
                faster("G3", f"{name}: as fast as scikit-learn", (SKLEARN, WALL), (name, WALL), 8)
                for name in (OURS, on_avx2(OURS))
            ],
            # seeds differ by about that much on 500 rows
            Bar("G3", "ROC AUC above scikit-learn's", auc_difference, -0.005, unit=""),
        ],
        prepare,
    )
]
