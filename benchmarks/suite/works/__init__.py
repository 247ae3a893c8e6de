"""The works, in the order in which they are run."""

from __future__ import annotations

from benchmarks.suite.contest import Work
from benchmarks.suite.works import digits, imports, larger, prediction, talk, wide

WORKS: dict[str, Work] = {
    work.key: work
    for work in [*talk.WORKS, *digits.WORKS, *wide.WORKS, *prediction.WORKS, *larger.WORKS, *imports.WORKS]
}
