"""Writes the tables of names on the pages under docs/coming-from, as a hook of MkDocs.

A line ``<!-- names: skorch -->`` becomes the table of that library's parameters, from the same names that the
estimators' errors use.
"""

from __future__ import annotations

import re
from typing import Any

from ffnn._utils.other_names import NAMES

__all__ = ["on_page_markdown", "table"]

_MARK = re.compile(r"^<!-- names: (.+) -->$", re.MULTILINE)


def table(library: str) -> str:
    """Return the table of a library's parameters and what to write for each."""
    rows = [f"| {library} | ffnn | |", "| --- | --- | --- |"]
    for theirs, found in NAMES[library].items():
        rows.append(f"| `{theirs}` | {f'`{found.code}`' if found.code else '–'} | {found.note} |")
    return "\n".join(rows)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page's text with its tables."""
    return _MARK.sub(lambda mark: table(mark[1]), markdown)
