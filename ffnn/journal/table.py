"""The summary of a journal as text."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from ffnn.parallel.words import plural

__all__ = ["as_text"]

_WIDEST = 24  # characters of a parameter's value


def as_text(summary: dict[str, Any]) -> str:
    """Return a table for each search, and the failures below it."""
    parts = [f"{summary['path']}: {plural(len(summary['sessions']), 'run')}{_since(summary['sessions'])}"]
    if summary["n_damaged"]:
        parts[0] += f"; {plural(summary['n_damaged'], 'damaged record')} left out, computed again when needed"
    for search in summary["searches"]:
        parts += [_headline(search), _table(search)]
        failures = _failures(search)
        if failures:
            parts.append(failures)
    if not summary["searches"]:
        parts.append("Nothing is recorded yet.")
    text = "\n\n".join(parts)
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)  # for the terminal


def _since(sessions: list[dict[str, Any]]) -> str:
    if not sessions:
        return ""
    return ", the last since " + time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(sessions[-1]["started"]))


def _headline(search: dict[str, Any]) -> str:
    if search["estimator"] is None:
        line = f"{search['function']}: {plural(search['n_tasks'], 'call')}"
    else:
        line = f"{search['estimator']}: {search['n_tasks']} of {plural(search['n_expected'], 'fit')}"
    for trouble in ("pruned", "failed"):
        if search[f"n_{trouble}"]:
            line += f", {search[f'n_{trouble}']} {trouble}"
    return line


def _table(search: dict[str, Any]) -> str:
    sizes = {row["n_train"] for row in search["candidates"]}
    varied = len(sizes) > 1 and max(sizes) > 1.5 * min(sizes)  # as in a halving search
    n_folds = max(len(row["folds"]) for row in search["candidates"])
    header = [*search["parameters"], *(["rows"] if varied else []), *search["scores"]]
    header += [f"fold {i}" for i in range(n_folds)] if search["scores"] and n_folds > 1 else []
    header += [
        "seconds",
        *(["pruned after"] if search["n_pruned"] else []),
        *(["failed"] if search["n_failed"] else []),
    ]
    first = search["scores"][0] if search["scores"] else None
    lines = []
    for row in search["candidates"]:
        cells = [_shown(row["parameters"].get(name)) for name in search["parameters"]]
        cells += [str(row["n_train"])] if varied else []
        cells += [_score(row, name) for name in search["scores"]]
        if first and n_folds > 1:
            values = [_number((fold["scores"] or {}).get(first)) for fold in row["folds"]]
            cells += values + [""] * (n_folds - len(values))
        seconds = row["mean_fit_time"] if row["mean_fit_time"] is not None else row["folds"][0]["seconds"]
        cells += [_number(seconds, 3), *([_epochs(row)] if search["n_pruned"] else [])]
        cells += [str(row["n_failed"] or "")] if search["n_failed"] else []
        lines.append(cells)
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [header, ["-" * width for width in widths], *lines]
    )
    return "\n".join(padded)


def _failures(search: dict[str, Any]) -> str:
    errors = (fold["error"] or "a score is not a number" for row in search["candidates"] for fold in _failed(row))
    lines = (" ".join(error.split())[:160] for error in errors)
    return "\n".join(f"failed {count} x: {line}" for line, count in Counter(lines).most_common(10))


def _failed(row: dict[str, Any]) -> list[dict[str, Any]]:
    return [fold for fold in row["folds"] if fold["failed"]]


def _score(row: dict[str, Any], name: str) -> str:
    if row["mean"][name] is None:
        return "-"
    spread = f" ± {row['std'][name]:.4f}" if len(row["folds"]) > 1 else ""
    return f"{row['mean'][name]:.4f}{spread}"


def _epochs(row: dict[str, Any]) -> str:
    """Return the numbers of epochs after which a candidate's fits were stopped; nothing if none was."""
    *others, last = row["pruned_after"] or [None]
    return "" if last is None else ", ".join(map(str, [*others, plural(last, "epoch")]))


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _shown(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
