"""Data larger than memory: chunks of CSR by ``partial_fit``, and a dense X that is mapped from a file.

What counts is anonymous memory, which only a copy takes: the pages of a mapped file are the system's to drop.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.suite import data
from benchmarks.suite.contest import Bar, Check, Measurement, Results, Size, Work
from benchmarks.suite.stopwatch import anonymous_mb, engine_seconds, watched

BUILDERS = ("tf", "native")
CHUNKS, MAPPED = "partial_fit over chunks of CSR", "fit of a memory-mapped X"
SKLEARN = "scikit-learn, partial_fit over chunks of CSR"
BEYOND = "memory beyond the first chunk, of a chunk"
COPIED = "memory beyond the baseline, of X"
N_FEATURES, STORED = 50_000, 3_000
MAPPED_FEATURES = 1_000
SIZES = {
    "full": {"chunks": 12, "chunk_rows": 2_000, "mapped_rows": 500_000},
    "quick": {"chunks": 4, "chunk_rows": 1_000, "mapped_rows": 65_536},
    "tiny": {"chunks": 2, "chunk_rows": 100, "mapped_rows": 4_096},
}


def mapped_path(size: Size) -> Path:
    return data.SCRATCH / f"mapped-{size['mapped_rows']}.npy"


def chunk_path(size: Size, number: int) -> Path:
    return data.SCRATCH / f"chunk-{size['chunk_rows']}-{number}.npz"


def target(X: Any) -> Any:
    """Return the labels of dense rows."""
    return (X[:, :10].sum(axis=1) > 0).astype("int64")


def prepare(size: Size) -> str:
    """Write the chunks and the file."""
    import numpy as np

    data.SCRATCH.mkdir(parents=True, exist_ok=True)
    for number in range(size["chunks"] + 1):
        X, y = data.corpus(size["chunk_rows"], N_FEATURES, STORED, 3, first=number)
        data.save(chunk_path(size, number), X, y, X[:0], y[:0])
    shape = (size["mapped_rows"], MAPPED_FEATURES)
    file = np.lib.format.open_memmap(mapped_path(size), mode="w+", dtype=np.float32, shape=shape)
    rng = np.random.default_rng(0)
    for start in range(0, shape[0], 10_000):
        rows = file[start : start + 10_000]
        rows[:] = rng.standard_normal(rows.shape, np.float32)
    file.flush()
    what = data.describe(data.load(chunk_path(size, 0))[0], f"{size['chunks']} chunks, generated")
    return f"{what}; a file of {shape[0]:,} × {shape[1]:,}, {file.nbytes / 1e9:.2f} GB"


def learner(contestant: str) -> Any:
    """Return an estimator of 64 hidden units that learns by batches of 64."""
    if contestant == SKLEARN:
        from sklearn.neural_network import MLPClassifier as SklearnMLP

        return SklearnMLP((64,), batch_size=64, alpha=0.0, random_state=0)
    return ffnn(contestant)


def ffnn(contestant: str, **parameters: Any) -> Any:
    """Return ffnn's estimator on the builder that the contestant names, its engine imported."""
    from ffnn import MLPClassifier

    builder = contestant.split(", ")[1]
    if builder == "tf":
        engine_seconds()
    return MLPClassifier((64,), batch_size=64, builder=builder, random_state=0, **parameters)


def named(builder: str, what: str) -> str:
    """Return the name of a contestant."""
    return f"ffnn, {builder}, {what}"


def chunks(contestant: str, size: Size) -> Measurement:
    """Train on each chunk once; the memory after the first one is the network's and the engine's."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    model = learner(contestant)
    seconds = []

    def teach(number: int) -> int:
        X, y, _, _ = data.load(chunk_path(size, number))
        start = time.perf_counter()
        model.partial_fit(X, y, classes=np.arange(2))
        seconds.append(time.perf_counter() - start)
        return int(X.data.nbytes + X.indices.nbytes + X.indptr.nbytes)

    n_bytes = teach(0)
    baseline = anonymous_mb()
    with watched() as watch:
        for number in range(1, size["chunks"]):
            teach(number)
    X, y, _, _ = data.load(chunk_path(size, size["chunks"]))
    auc = float(roc_auc_score(y, model.predict_proba(X)[:, 1]))
    figures = {
        BEYOND: (watch.peak_mb - baseline) / (n_bytes / 1e6),
        "chunk MB": n_bytes / 1e6,
        "ROC AUC on the next chunk": auc,
    }
    checks = [Check("ROC AUC on the next chunk", auc, 0.7, at_least=True)] if size["chunk_rows"] > 500 else []
    return Measurement({"a chunk": float(np.median(seconds[1:]))}, figures, checks)


def mapped(contestant: str, size: Size) -> Measurement:
    """Train one epoch on the whole file, after a little of it."""
    import numpy as np

    X = np.load(mapped_path(size), mmap_mode="r")
    y = np.concatenate([target(X[start : start + 10_000]) for start in range(0, len(X), 10_000)])

    few, model = 2_048, ffnn(contestant, n_epochs=1)
    losses = [model.fit(rows, y[:few]).loss_curve_[0] for rows in (X[:few], np.array(X[:few]))]
    baseline = anonymous_mb()
    start = time.perf_counter()
    with watched() as watch:
        fitted = model.fit(X, y)
    seconds = time.perf_counter() - start
    accuracy = float(np.mean(fitted.predict(X[:few]) == y[:few]))
    checks = [Check("difference of the loss from that of an array in memory", abs(losses[0] - losses[1]), 1e-6)]
    if len(X) > 10_000:
        checks.append(Check("accuracy", accuracy, 0.8, at_least=True))
    copied = (watch.peak_mb - baseline) / (X.nbytes / 1e6)
    return Measurement({"an epoch": seconds}, {COPIED: copied, "X MB": X.nbytes / 1e6, "accuracy": accuracy}, checks)


def run(contestant: str, size: Size, _number: int) -> Measurement:
    """Train, and watch the memory."""
    return mapped(contestant, size) if contestant.endswith(MAPPED) else chunks(contestant, size)


def _median(results: Results, name: str, figure: str) -> float:
    return results.median(name, figure)


def bars(builder: str) -> list[Bar]:
    """Return the bars of a builder."""
    made = []
    for what, figure, limit in ((CHUNKS, BEYOND, 2.0), (MAPPED, COPIED, 0.25)):
        name = named(builder, what)
        made.append(Bar("S6", f"{name}: {figure}", partial(_median, name=name, figure=figure), limit, at_least=False))
    return made


WORKS = [
    Work(
        "larger",
        "larger than memory, (64,)",
        run,
        [*(named(builder, CHUNKS) for builder in BUILDERS), SKLEARN, *(named(builder, MAPPED) for builder in BUILDERS)],
        SIZES,
        [bar for builder in BUILDERS for bar in bars(builder)],
        prepare,
        forked=[named("tf", CHUNKS), named("tf", MAPPED)],
    )
]
