"""The cost of an import."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.suite.contest import PEAK, Bar, Measurement, Results, Size, Work
from benchmarks.suite.stopwatch import peak_mb

OURS, THEIRS = "import ffnn", "import sklearn"
CLASS, THEIR_CLASS = "from ffnn import MLPClassifier", "from sklearn.neural_network import MLPClassifier"
#: What is ours of the class's import: to take one second from another says little of some milliseconds.
BEYOND = "from ffnn import MLPClassifier, where scikit-learn's is there"


def run(contestant: str, _size: Size, _number: int) -> Measurement:
    """Import once, in this new process."""
    statement = contestant
    if contestant == BEYOND:
        statement = CLASS
        exec(THEIR_CLASS, {})
    start = time.perf_counter()
    exec(statement, {})
    return Measurement({"import": time.perf_counter() - start}, {PEAK: peak_mb()})


def more(results: Results) -> float:
    """Return the milliseconds that our import takes more."""
    return 1e3 * (results.median(OURS, "import") - results.median(THEIRS, "import"))


def beyond(results: Results) -> float:
    """Return the milliseconds that the class takes beyond scikit-learn's."""
    return 1e3 * results.median(BEYOND, "import")


def bar(text: str, figure: Callable[[Results], float]) -> Bar:
    """Return a bar of 50 ms."""
    return Bar("S8", text, figure, 50.0, at_least=False, unit=" ms")


WORKS = [
    Work(
        "import",
        "import",
        run,
        [OURS, THEIRS, CLASS, BEYOND, THEIR_CLASS],
        {"full": {}, "quick": {}, "tiny": {}},
        [bar(f"`{OURS}`, more than `{THEIRS}`", more), bar(f"`{CLASS}`, beyond `{THEIR_CLASS}`", beyond)],
        rounds={"full": 15, "quick": 5},
        discarded=1,
    )
]
