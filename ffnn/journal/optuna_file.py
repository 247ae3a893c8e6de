"""The searches of a journal as an Optuna journal file, which Optuna and its dashboard read."""

from __future__ import annotations

import datetime
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ffnn.exceptions import JournalError
from ffnn.journal.curves import mean_curve, monitor_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

__all__ = ["write_optuna"]

_LOG = 100  # the ratio of two values from which a parameter's scale is logarithmic


def write_optuna(summary: dict[str, Any], path: Path) -> int:
    """Write a study for each search, with a trial for each candidate.

    Parameters
    ----------
    summary : dict
        The journal's summary.
    path : Path
        The file, which does not exist.

    Returns
    -------
    int
        The number of trials.

    Raises
    ------
    ImportError
        If Optuna is not installed.
    JournalError
        If no search is recorded.
    OSError
        If the file cannot be written.
    """
    searches = [search for search in summary["searches"] if search["estimator"] and search["parameters"]]
    if not searches:
        raise JournalError(
            f"{summary['path']} has no search to export: no candidate is recorded. Run a search on a pool with "
            f"journal={summary['path']!r} first."
        )
    try:
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend
    except ImportError as error:
        raise ImportError(
            f"--optuna needs Optuna ({error}). Install it with: python -m pip install 'ffnn[optuna]'"
        ) from error
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = JournalStorage(JournalFileBackend(str(path)))
        for number, search in enumerate(searches, 1):
            study = optuna.create_study(
                study_name=f"{search['estimator']} {number}", storage=storage, direction="maximize"
            )
            facts = {"journal": summary["path"], "search": search["id"], "intermediate_values": monitor_of(search)}
            for name, value in facts.items():
                study.set_user_attr(name, value)
            if search["scores"]:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                    study.set_metric_names(search["scores"][:1])
            study.add_trials(_trials(search))
    finally:
        optuna.logging.set_verbosity(level)
    return sum(len(search["candidates"]) for search in searches)


def _trials(search: dict[str, Any]) -> Iterator[FrozenTrial]:
    """Yield the candidates as trials, in the order in which they ended."""
    from optuna.trial import TrialState, create_trial

    rows = [row["parameters"] for row in search["candidates"]]
    known = {name: _distribution([row[name] for row in rows if name in row]) for name in search["parameters"]}
    monitor, score = monitor_of(search), next(iter(search["scores"]), None)
    for candidate in sorted(search["candidates"], key=lambda candidate: _times(candidate)[1]):
        mean = candidate["mean"].get(score)
        if candidate["n_failed"]:
            state = TrialState.FAIL
        elif candidate["n_pruned"]:
            state = TrialState.PRUNED
        elif len(candidate["folds"]) < (search["n_folds"] or 0):
            state = TrialState.RUNNING
        else:
            state = TrialState.FAIL if mean is None else TrialState.COMPLETE
        of_each = {name: known[name] for name in candidate["parameters"]}
        curve = mean_curve(candidate, monitor)
        trial = create_trial(
            state=state,
            value=mean if state == TrialState.COMPLETE else None,
            params={name: of_each[name][1](value) for name, value in candidate["parameters"].items()},
            distributions={name: distribution for name, (distribution, _) in of_each.items()},
            user_attrs=_attributes(candidate),
            intermediate_values={epoch: loss for epoch, loss in enumerate(curve, 1) if loss is not None},
        )
        start, end = (datetime.datetime.fromtimestamp(moment) for moment in _times(candidate))
        trial.datetime_start = start
        trial.datetime_complete = end if state.is_finished() else None
        yield trial


def _distribution(values: list[Any]) -> tuple[BaseDistribution, Callable[[Any], Any]]:
    """Return the distribution of a parameter with these values, and the function that takes them there."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    kinds = {type(value) for value in values}
    if kinds <= {int, float}:
        low, high = min(values), max(values)
        log = low > 0 and high / low >= _LOG
        if kinds == {int}:
            return IntDistribution(low, high, log=log), int
        return FloatDistribution(low, high, log=log), float
    distinct = {(type(value), value): value for value in values}
    if len(set(distinct.values())) < len(distinct):  # Optuna does not tell True from 1
        return CategoricalDistribution(sorted({repr(value) for value in values})), repr
    return CategoricalDistribution(list(distinct.values())), lambda value: value


def _attributes(candidate: dict[str, Any]) -> dict[str, Any]:
    """Return what else is known of a candidate, by the names of ``cv_results_``."""
    found: dict[str, Any] = {"n_train": candidate["n_train"], "mean_fit_time": candidate["mean_fit_time"]}
    for kind in ("mean", "std"):
        found |= {f"{kind}_test_{name}": value for name, value in candidate[kind].items()}
    for i, fold in enumerate(candidate["folds"]):
        number = i if fold["fold"] is None else fold["fold"]
        found |= {f"split{number}_test_{name}": value for name, value in (fold["scores"] or {}).items()}
    found["pruned_after"] = ", ".join(map(str, candidate["pruned_after"])) or None
    found["error"] = next((fold["error"] for fold in candidate["folds"] if fold["error"]), None)
    return {name: value for name, value in found.items() if value is not None}


def _times(candidate: dict[str, Any]) -> tuple[float, float]:
    """Return when the first fit began and the last one ended."""
    folds = candidate["folds"]
    ends = [time.time() if fold["ended"] is None else fold["ended"] for fold in folds]
    took = [fold["seconds"] or fold["fit_time"] or 0.0 for fold in folds]
    return min(end - seconds for end, seconds in zip(ends, took, strict=True)), max(ends)
