"""One process of one contestant: ``python -m benchmarks.suite.child WORK CONTESTANT SIZE ROUND FILE``.

The contestant ``--prepare`` makes the data. What was measured goes to the file, as JSON, or why it was not; the engines
may print what they like.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

from benchmarks.suite.contest import ANONYMOUS, PEAK
from benchmarks.suite.works import WORKS

ENGINE = "import of the engine s"


def run(key: str, contestant: str, size: str, number: int, path: str, *, forked: bool = False) -> None:
    """Measure one thing."""
    warnings.simplefilter("ignore")
    work = WORKS[key]
    try:
        if contestant == "--prepare":
            assert work.prepare is not None
            told = {"data": work.prepare(work.sizes[size])}
        else:
            measured = work.run(contestant, work.sizes[size], number)
            if forked:  # from a process that had the engine: neither its import nor its memory is this one's
                for name in (PEAK, ANONYMOUS, ENGINE):
                    measured.figures.pop(name, None)
            told = measured.as_json()
    except Exception as error:
        told = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:200]}
    Path(path).write_text(json.dumps(told))


def fork(key: str, contestant: str, size: str, number: int, path: str) -> None:
    """Measure one thing in a process that was forked from one with the engine in it."""
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    run(key, contestant, size, number, path, forked=True)


if __name__ == "__main__":
    run(*sys.argv[1:4], int(sys.argv[4]), sys.argv[5])
