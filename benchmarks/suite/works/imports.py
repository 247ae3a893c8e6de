"""What an import costs."""

from __future__ import annotations

import time

from benchmarks.suite.contest import PEAK, Bar, Measurement, Results, Size, Work
from benchmarks.suite.stopwatch import peak_mb

STATEMENTS = [
    "import ffnn",
    "import sklearn",
    "from ffnn import MLPClassifier",
    "from sklearn.neural_network import MLPClassifier",
]


def run(contestant: str, _size: Size, _number: int) -> Measurement:
    """Import once, in this new process."""
    start = time.perf_counter()
    exec(contestant, {})
    return Measurement({"import": time.perf_counter() - start}, {PEAK: peak_mb()})


def difference(ours: str, theirs: str, results: Results) -> float:
    """Return the milliseconds that ours takes more."""
    return 1e3 * (results.median(ours, "import") - results.median(theirs, "import"))


def bar(ours: str, theirs: str) -> Bar:
    """Return the bar of a pair of statements."""
    text = f"`{ours}`, more than `{theirs}`"
    return Bar("S8", text, lambda results: difference(ours, theirs, results), 50.0, at_least=False, unit=" ms")


WORKS = [
    Work(
        "import",
        "import",
        run,
        STATEMENTS,
        {"full": {}, "quick": {}, "tiny": {}},
        [bar(*STATEMENTS[:2]), bar(*STATEMENTS[2:])],
        rounds={"full": 15, "quick": 5},
        discarded=1,
    )
]
