"""The works, in the order in which they are run."""

from __future__ import annotations

from benchmarks.suite.contest import Work
from benchmarks.suite.works import (
    cold,
    dense,
    digits,
    imports,
    larger,
    prediction,
    search,
    talk,
    talk_search,
    wide,
)

MODULES = [talk, digits, wide, prediction, larger, imports, dense, cold, search, talk_search]
WORKS: dict[str, Work] = {work.key: work for module in MODULES for work in module.WORKS}
