"""Grid searches, timed from the start of a process: imports and the start of workers are part of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.suite.contest import PEAK, Check, Measurement, Size, Work, faster, within
from benchmarks.suite.levels import hold, on_avx2
from benchmarks.suite.stopwatch import peak_mb, seconds_since_start

N_JOBS = 2
THREADS, WORKERS, TF = "ffnn, two threads", "ffnn, two workers", "ffnn, tf, two workers"
SKLEARN, FLOAT32 = "scikit-learn, n_jobs=2", "scikit-learn, n_jobs=2, X in float32"
NOTHING = "scikit-learn, n_jobs=2, of a model that learns nothing"
WALL, SCORE = "search", "mean score"


@dataclass(frozen=True)
class Grid:
    """A search: the data, the networks, and the parameters that both libraries know under names of their own.

    Parameters
    ----------
    data : str
        The name of a function of ``sklearn.datasets`` that returns X and y.
    epochs, batch_size : int
        Of each fit.
    hidden : sequence of tuple of int
        The architectures.
    score : float
        The mean score that both libraries must reach, at the whole size.
    """

    data: str
    epochs: int
    batch_size: int
    hidden: Sequence[tuple[int, ...]]
    score: float

    def axes(self, size: Size) -> Mapping[str, Sequence[Any]]:
        """Return the grid: as many learning rates and weight decays as there are to be candidates."""
        import numpy as np

        rates = np.geomspace(5e-4, 5e-3, size["rates"]).tolist()
        decays = np.geomspace(1e-6, 1e-3, size["decays"]).tolist()
        return {"hidden": list(self.hidden), "rate": rates, "decay": decays}


def _ffnn(grid: Grid, builder: str) -> tuple[Any, Mapping[str, str]]:
    from ffnn import MLPClassifier

    model = MLPClassifier(batch_size=grid.batch_size, n_epochs=grid.epochs, builder=builder, random_state=0)
    return model, {"hidden": "hidden_units", "rate": "learning_rate", "decay": "weight_decay"}


def _sklearn(grid: Grid) -> tuple[Any, Mapping[str, str]]:
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        batch_size=grid.batch_size, max_iter=grid.epochs, n_iter_no_change=grid.epochs + 1, random_state=0
    )
    return model, {"hidden": "hidden_layer_sizes", "rate": "learning_rate_init", "decay": "alpha"}


def _nothing(_grid: Grid) -> tuple[Any, Mapping[str, str]]:
    """Return a classifier that takes parameters and uses none: what a search costs by itself."""
    from benchmarks.suite.nothing import LearnsNothing

    return LearnsNothing(), {"hidden": "hidden", "rate": "rate", "decay": "decay"}


def _pool(name: str) -> AbstractContextManager[Any]:
    import ffnn

    return ffnn.pool(name, n_workers=N_JOBS)


_Maker = Callable[[Grid], tuple[Any, Mapping[str, str]]]
CONTESTANTS: dict[str, tuple[_Maker, Callable[[], AbstractContextManager[Any]]]] = {
    THREADS: (partial(_ffnn, builder="native"), partial(_pool, "threads")),
    WORKERS: (partial(_ffnn, builder="native"), partial(_pool, "multiprocessing")),
    TF: (partial(_ffnn, builder="tf"), partial(_pool, "multiprocessing")),
    SKLEARN: (_sklearn, nullcontext),
    FLOAT32: (_sklearn, nullcontext),
    NOTHING: (_nothing, nullcontext),
}


def run(grid: Grid, contestant: str, size: Size, _number: int) -> Measurement:
    """Search, without the refit."""
    from sklearn import datasets
    from sklearn.model_selection import GridSearchCV
    from sklearn.preprocessing import StandardScaler

    warnings.simplefilter("ignore")
    make, place = CONTESTANTS[hold(contestant)]
    X, y = getattr(datasets, grid.data)(return_X_y=True)
    X = StandardScaler().fit_transform(X) if grid.data == "load_iris" else X / 16
    if contestant == FLOAT32:  # the data comes in float64, in which scikit-learn then computes; ffnn does not
        X = X.astype("float32")
    model, names = make(grid)
    axes = {names[name]: values for name, values in grid.axes(size).items()}
    n_jobs = None if contestant.startswith("ffnn") else N_JOBS
    search = GridSearchCV(model, axes, cv=size["folds"], refit=False, n_jobs=n_jobs, error_score="raise")
    with place():
        search.fit(X, y)
    score = float(search.cv_results_["mean_test_score"].mean())
    measured = Measurement({WALL: seconds_since_start()}, {SCORE: score, PEAK: peak_mb()})
    measured.checks += [
        Check("candidates", len(search.cv_results_["params"]), size["rates"] * size["decays"] * len(grid.hidden), True)
    ]
    if contestant != NOTHING and size.get("scored", True):
        measured.checks.append(Check(SCORE, score, grid.score, at_least=True))
    return measured


def bars(item: str, limit: float, ours: str, *, pools: float | None = None) -> list[Any]:
    """Return the bars of a work, each for the machine's best instructions and for AVX2."""
    made = []
    for name, where in ((ours, ""), (on_avx2(ours), ", AVX2")):
        made.append(faster(item, f"as fast as scikit-learn{where}", (SKLEARN, WALL), (name, WALL), limit))
        if pools is not None:
            text = f"as fast as builder tf on two workers{where}"
            made.append(faster(item, text, (TF, WALL), (name, WALL), pools))
    return made


def work(key: str, title: str, grid: Grid, sizes: Mapping[str, Size], made: list[Any], more: Sequence[str]) -> Work:
    """Return the work of a grid."""
    contestants = [THREADS, on_avx2(THREADS), WORKERS, *more, SKLEARN, FLOAT32]
    return Work(key, title, partial(run, grid), contestants, sizes, made)


_TINY: Size = {"rates": 1, "decays": 2, "folds": 2, "scored": False}
_DIGITS: Mapping[str, Size] = {
    "full": {"rates": 6, "decays": 4, "folds": 5},
    "quick": {"rates": 2, "decays": 2, "folds": 3},
    "tiny": _TINY,
}
_MIXED: Mapping[str, Size] = {
    "full": {"rates": 4, "decays": 2, "folds": 5},
    "quick": {"rates": 1, "decays": 1, "folds": 3},
    "tiny": _TINY,
}
_IRIS: Mapping[str, Size] = {
    "full": {"rates": 40, "decays": 25, "folds": 3},
    "quick": {"rates": 10, "decays": 6, "folds": 3},
    "tiny": _TINY,
}

WORKS = [
    work(
        "search-digits",
        "a search: 24 candidates of (100,), 5 folds, digits, 50 epochs",
        Grid("load_digits", 50, 64, [(100,)], 0.9),
        _DIGITS,
        bars("G1", 8.0, THREADS, pools=4.0),
        [TF],
    ),
    work(
        "search-digits-256-256",
        "a search: 24 candidates of (256, 256), 5 folds, digits, 50 epochs",
        Grid("load_digits", 50, 64, [(256, 256)], 0.9),
        _DIGITS,
        bars("G2", 5.0, THREADS),
        [],
    ),
    work(
        "search-mixed",
        "a search: 24 candidates of (100,), (256, 256) and (128, 64), 5 folds, digits, 50 epochs",
        Grid("load_digits", 50, 64, [(100,), (256, 256), (128, 64)], 0.9),
        _MIXED,
        bars("G2", 5.0, THREADS),
        [],
    ),
    work(
        "search-iris",
        "a search: 1,000 candidates of (16,), 3 folds, iris, 20 epochs",
        Grid("load_iris", 20, 32, [(16,)], 0.6),
        _IRIS,
        [
            *bars("G4", 4.0, WORKERS),
            within("G4", "a search of a model that learns nothing", (NOTHING, WALL), (WORKERS, WALL), 1.0),
        ],
        [on_avx2(WORKERS), NOTHING],
    ),
]
