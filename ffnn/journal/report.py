"""The summary of a journal as one HTML file, which needs no network."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from ffnn.journal.curves import mean_curve, monitor_of

__all__ = ["as_html"]

_PLACE = "{}/*summary*/"
_MOST_POINTS = 250  # of a curve


def as_html(summary: dict[str, Any]) -> str:
    """Return the report: ``report.html`` with the summary in it.

    Whatever users have named or printed is data of the report's script, which shows it as text; here only the
    characters are escaped that could end the script.
    """
    drawn = summary | {"searches": [_with_curves(search) for search in summary["searches"]]}
    data = json.dumps(drawn, allow_nan=False, separators=(",", ":"))
    for letter in "<>&":
        data = data.replace(letter, f"\\u{ord(letter):04x}")
    template = files("ffnn.journal").joinpath("report.html").read_text(encoding="utf-8")
    return template.replace(_PLACE, data)


def _with_curves(search: dict[str, Any]) -> dict[str, Any]:
    """Return a search with one curve a candidate, as pairs of epoch and loss, instead of those of each fold."""
    monitor = monitor_of(search)
    candidates = [
        candidate
        | {
            "curve": _thinned(mean_curve(candidate, monitor)),
            "folds": [{name: value for name, value in fold.items() if name != "curves"} for fold in candidate["folds"]],
        }
        for candidate in search["candidates"]
    ]
    return search | {"monitor": monitor, "candidates": candidates}


def _thinned(curve: list[float | None]) -> list[tuple[int, float | None]]:
    """Return at most so many points as can be told apart: all of the first epochs, fewer and fewer of the later."""
    n = len(curve)
    kept = (
        range(n) if n <= _MOST_POINTS else sorted({round(n ** (i / _MOST_POINTS)) - 1 for i in range(_MOST_POINTS + 1)})
    )
    return [(i + 1, None if curve[i] is None else float(f"{curve[i]:.5g}")) for i in kept]
