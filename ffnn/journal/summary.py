"""A journal's records as searches, candidates and folds."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ffnn.journal.curves import length
from ffnn.parallel.journal.store import PRUNED, JournalFolder

__all__ = ["JournalReader"]

_TIMES = ("fit_time", "score_time", "seconds", "ended")
_OF_A_FOLD = ("fold", "scores", "train_scores", "error", "reusable", "worker", "client", "curves", *_TIMES)


class JournalReader:
    """Reads a journal, also while a search writes it; unpickles nothing.

    Parameters
    ----------
    path : Path
        The folder.

    Raises
    ------
    JournalError
        If it is no journal, or one of a later version.
    """

    def __init__(self, path: Path) -> None:
        self._folder = JournalFolder(path, any_owner=True)
        self._folder.check()
        self._by_key: dict[str, dict[str, Any]] = {}
        self._others: list[dict[str, Any]] = []
        self._sessions: list[dict[str, Any]] = []

    def read(self) -> bool:
        """Read what was added since the last time; return whether anything was."""
        found = [record.meta for _, record in self._folder.new_records()]
        for meta in found:
            if meta["kind"] == "session":
                self._sessions.append({name: meta.get(name) for name in ("started", "host", "pid", "ffnn")})
            elif meta["kind"] == "result":
                self._add(meta)
        return bool(found)

    def summary(self) -> dict[str, Any]:
        """Return everything that was read, for JSON: the searches in the order of their first results."""
        groups: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for meta in sorted([*self._by_key.values(), *self._others], key=lambda meta: meta.get("ended") or 0):
            is_fit = "estimator" in meta
            groups[meta.get("search") if is_fit else None, meta.get("function"), meta.get("n_folds")].append(meta)
        return {
            "path": str(self._folder.path),
            "sessions": sorted(self._sessions, key=lambda session: session["started"]),
            "n_damaged": self._folder.n_damaged,
            "searches": [_search(metas) for metas in groups.values()],
        }

    def _add(self, meta: dict[str, Any]) -> None:
        key = meta.get("key")
        if key is None:
            self._others.append(meta)
            return
        key = key.removesuffix(PRUNED)
        known = self._by_key.get(key)
        if known is None or _standing(meta) >= _standing(known):
            self._by_key[key] = meta


def _standing(meta: dict[str, Any]) -> tuple[bool, float]:
    """Rank the records of one task: a result before what failed or was stopped, then the latest."""
    return not (meta.get("failed") or meta.get("pruned")), meta.get("ended") or 0.0


def _search(metas: list[dict[str, Any]]) -> dict[str, Any]:
    scores = list(dict.fromkeys(name for meta in metas for name in meta.get("scores") or ()))
    rows = [_candidate(parameters, folds, scores) for parameters, folds in _rows(metas)]
    first = scores[0] if scores else None
    rows.sort(key=lambda row: _rank(row, first), reverse=True)
    announced = [(meta.get("n_candidates") or 0) * (meta.get("n_folds") or 0) for meta in metas]
    return {
        "id": metas[0].get("search"),
        "function": metas[0].get("function"),
        "estimator": metas[0].get("estimator"),
        "n_folds": metas[0].get("n_folds"),
        "scores": scores,
        "parameters": list(dict.fromkeys(name for meta in metas for name in meta.get("parameters") or ())),
        "n_tasks": len(metas),
        "n_expected": max(max(announced), len(metas)),
        "n_failed": sum(row["n_failed"] for row in rows),
        "n_pruned": sum(row["n_pruned"] for row in rows),
        "candidates": rows,
    }


def _rank(row: dict[str, Any], score: str | None) -> tuple[float, int]:
    """Order the candidates by their mean score, and those that were stopped by how far they came."""
    mean = row["mean"].get(score)
    return -math.inf if mean is None else mean, max(row["pruned_after"], default=0)


def _rows(metas: list[dict[str, Any]]) -> Iterable[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Yield the parameters and the folds of each candidate.

    Fits of one candidate and fold that differ otherwise, as the iterations of a halving search do in their numbers of
    rows, are rows of their own, ordered by those numbers.
    """
    found: dict[str, dict[Any, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for i, meta in enumerate(metas):
        fold = meta.get("fold")
        same = json.dumps(meta.get("parameters"), sort_keys=True)
        if "estimator" not in meta:  # a call of a function: a row
            same = f"{same} {i}"
        elif fold is None:  # cross_validate does not number them
            fold = len(found[same])
        found[same][fold].append({**meta, "fold": fold})
    for by_fold in found.values():
        for fits in by_fold.values():
            fits.sort(key=lambda meta: meta.get("n_train") or 0)
        for n in range(max(map(len, by_fold.values()))):
            folds = [fits[n] for fits in by_fold.values() if len(fits) > n]
            yield folds[0].get("parameters") or {}, sorted(folds, key=lambda meta: meta.get("fold") or 0)


def _candidate(parameters: dict[str, Any], folds: list[dict[str, Any]], scores: list[str]) -> dict[str, Any]:
    of_each = {name: [(fold.get("scores") or {}).get(name) for fold in folds] for name in scores}
    known = {name: [value for value in values if value is not None] for name, values in of_each.items()}
    pruned = [fold for fold in folds if fold.get("pruned")]
    if pruned:  # some folds may have ended before; their mean is not that of the others' candidates
        known = {name: [] for name in scores}
    times = [fold["fit_time"] for fold in folds if fold.get("fit_time") is not None]
    flags = ("failed", "pruned")
    return {
        "parameters": parameters,
        "n_train": max((fold.get("n_train") or 0 for fold in folds), default=0),
        "mean": {name: statistics.fmean(values) if values else None for name, values in known.items()},
        "std": {name: statistics.pstdev(values) if values else None for name, values in known.items()},
        "mean_fit_time": statistics.fmean(times) if times else None,
        "n_failed": sum(bool(fold.get("failed")) for fold in folds),
        "n_pruned": len(pruned),
        "pruned_after": sorted({length(fold) for fold in pruned}),
        "folds": [
            {name: fold.get(name) for name in _OF_A_FOLD} | {name: bool(fold.get(name)) for name in flags}
            for fold in folds
        ],
    }
