"""Measures a search over a pipeline with and without shared transformers, on the talk's reviews.

    python benchmarks/shared_transformers.py [--data movie_reviews.zip] [--texts 1000] [--rounds 2] [--json FILE]

The vectoriser counts character n-grams, the network is small, and the candidates differ in it alone: 6 candidates x 3
folds. Contestants, each in a process of its own, one after the other in each round: ``pool`` and ``pool+share`` on two
workers, ``cached`` and ``plain`` in one process. The figure is the CPU time of all processes of a contestant, the least
of the rounds; all must have the same scores.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import ffnn

sys.path.insert(0, str(Path(__file__).parents[1]))

from examples.movie_reviews import load

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("FFNN_DATA", ROOT.parent / "shared" / "data")) / "movie_reviews.zip"
CONTESTANTS = ("pool", "pool+share", "plain", "cached")


def cpu() -> float:
    """Return the CPU time of this process and of those that it has waited for, in seconds."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def run(contestant: str, data: Path, n_texts: int) -> dict[str, Any]:
    """Run the search of one contestant in this process."""
    texts, labels = load(data)
    rows = np.random.default_rng(0).permutation(len(texts))[:n_texts]
    X, y = [texts[row] for row in rows], labels[rows]
    vectorizer: Any = CountVectorizer(analyzer="char", ngram_range=(2, 5), max_features=50_000, dtype=np.float32)
    if contestant == "cached":
        vectorizer = ffnn.cached(vectorizer)
    network = ffnn.MLPClassifier(builder="native", hidden_units=(64,), n_epochs=2, random_state=0)
    grid = {"mlpclassifier__dropout": [None, 0.2, 0.5], "mlpclassifier__learning_rate": [1e-2, 1e-3]}
    options: dict[str, Any] = {"cv": 3, "refit": False, "scoring": "roc_auc", "error_score": "raise"}
    search = GridSearchCV(make_pipeline(vectorizer, network), grid, **options)
    used, start = cpu(), time.perf_counter()
    with contextlib.ExitStack() as stack:
        if contestant.startswith("pool"):
            stack.enter_context(ffnn.pool(n_workers=2, share=contestant == "pool+share", progress=False))
        search.fit(X, y)
    scores = search.cv_results_["mean_test_score"].tolist()
    return {"cpu": cpu() - used, "wall": time.perf_counter() - start, "scores": scores}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=CONTESTANTS)
    parser.add_argument("--json", type=Path, help="where to write the figures, too")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(run(args.one, args.data, args.texts)))
        return
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in args.only}
    for _ in range(args.rounds):
        for name in args.only:
            argv = [sys.executable, __file__, "--one", name, "--data", str(args.data), "--texts", str(args.texts)]
            found[name].append(json.loads(subprocess.run(argv, check=True, capture_output=True).stdout))
    assert len({tuple(one["scores"]) for runs in found.values() for one in runs}) == 1, "the scores differ"
    for name, runs in found.items():
        print(
            f"{name}: {min(one['cpu'] for one in runs):.1f} s of CPU, {min(one['wall'] for one in runs):.1f} s of wall"
        )
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
