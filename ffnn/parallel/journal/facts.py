"""Descriptions of a call and of its result in JSON, from which a search is shown without unpickling anything."""

from __future__ import annotations

import math
import numbers
import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ffnn._utils._private import is_fit_and_score, undelayed
from ffnn.parallel.journal.keys import arguments_of

__all__ = ["facts_of_call", "facts_of_error", "facts_of_result", "has_failed"]

_LONGEST = 200  # characters of a value
_LONGEST_ERROR = 2000
_repr = reprlib.Repr()
_repr.maxother = _repr.maxstring = _repr.maxlong = 80
_repr.maxlevel = 3


def facts_of_call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return what is to be shown of a call: of a fit its candidate and fold, of another its arguments."""
    called, _ = undelayed(function)
    name = str(getattr(called, "__qualname__", type(called).__qualname__))
    arguments = arguments_of(function, args, kwargs)
    if not is_fit_and_score(function):
        return {"function": name, "parameters": {key: _shown(value) for key, value in arguments.items()}}
    fold, n_folds = arguments.get("split_progress") or (None, None)
    candidate, n_candidates = arguments.get("candidate_progress") or (None, None)
    return {
        "function": name,
        "estimator": type(arguments["estimator"]).__name__,
        "parameters": {str(name): _shown(value) for name, value in (arguments.get("parameters") or {}).items()},
        "candidate": candidate,
        "n_candidates": n_candidates,
        "fold": fold,
        "n_folds": n_folds,
        "n_train": len(arguments["train"]),
    }


def facts_of_result(result: Any, is_fit: bool) -> dict[str, Any]:
    """Return what is to be shown of a result: of a fit its scores and times."""
    if not is_fit or not isinstance(result, dict):
        return {"scores": {"result": _number(result)}} if isinstance(result, numbers.Real) else {}
    facts: dict[str, Any] = {"scores": _scores(result.get("test_scores"))}
    if "train_scores" in result:
        facts["train_scores"] = _scores(result["train_scores"])
    for name in ("fit_time", "score_time"):
        if isinstance(result.get(name), numbers.Real):
            facts[name] = _number(result[name])
    if result.get("fit_error"):
        facts["error"] = _last_part(str(result["fit_error"]))[:_LONGEST_ERROR]
    return facts


def facts_of_error(error: BaseException) -> dict[str, Any]:
    """Return what is to be shown of a call that raised an error."""
    return {"error": f"{type(error).__name__}: {error}".strip()[:_LONGEST_ERROR]}


def has_failed(result: Any, is_fit: bool) -> bool:
    """Return whether a fit has failed, so that its scores are ``error_score``, or whether a score is not a number."""
    if not is_fit or not isinstance(result, dict):
        return False
    scores = result.get("test_scores")
    values = list(scores.values()) if isinstance(scores, Mapping) else [scores]
    return bool(result.get("fit_error")) or any(isinstance(value, numbers.Real) and value != value for value in values)


def _last_part(text: str) -> str:
    """Return the exception that a traceback ends with, whose lines follow those of the last frame."""
    lines = text.strip().splitlines()
    frames = [i for i, line in enumerate(lines) if line.startswith("  File ")]
    start = frames[-1] + 1 if frames else 0
    while start < len(lines) - 1 and lines[start].startswith("    "):
        start += 1
    return "\n".join(lines[start:])


def _scores(scores: Any) -> dict[str, float | None]:
    named = scores if isinstance(scores, Mapping) else {"score": scores}
    return {str(name): _number(score) for name, score in named.items()}


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _shown(value: Any) -> str | int | float | bool | None:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | str):
        return value[:_LONGEST] if isinstance(value, str) else value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{type(value).__name__} of {value.shape}, {value.dtype}"
    try:
        return _repr.repr(value)[:_LONGEST]
    except Exception:  # a user's __repr__ may raise anything
        return f"<{type(value).__name__}>"
