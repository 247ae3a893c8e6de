"""The searches of a pool as runs of MLflow."""

from __future__ import annotations

import re
import statistics
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ffnn.journal.curves import mean_curve
from ffnn.parallel.results import ResultListener

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

__all__ = ["MLflowRuns"]

_MOST_METRICS = 1000  # of MLflow, in one request
_CURVES = ("loss", "validation_loss", "validation_score")


@dataclass
class _Candidate:
    """A candidate of a round, and its run; the results are kept until all folds are there."""

    name: str
    parameters: dict[str, Any]
    n_folds: int
    started: float
    run: str | None = None
    results: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)  # to be written
    is_closed: bool = False


@dataclass
class _Search:
    experiment: str | None = None
    run: str | None = None
    candidates: dict[tuple[int, int], _Candidate] = field(default_factory=dict)
    n_expected: dict[int, int] = field(default_factory=dict)
    best: float | None = None


class MLflowRuns(ResultListener):
    """Writes each search as a run of MLflow, with a run for each candidate below it.

    Parameters
    ----------
    tracking_uri : str, optional
        Where MLflow keeps its runs, for instance ``"sqlite:///mlflow.db"`` or ``"http://localhost:5000"``. None means
        where MLflow itself is set to: by ``MLFLOW_TRACKING_URI``, or else its default.
    experiment : str, default="ffnn"
        The name of the experiment, which is made if it does not exist.

    Raises
    ------
    ImportError
        If MLflow is not installed: the extra is ``ffnn[mlflow]``.
    TypeError, ValueError
        If an argument is no text, or empty.

    Notes
    -----
    A candidate's run has its parameters, and metrics with the names of ``cv_results_``: ``split0_test_score`` as soon
    as the fold is done, then ``mean_test_score``, ``std_test_score`` and ``mean_fit_time``. The mean of the folds'
    curves, ``loss``, ``validation_loss`` and ``validation_score``, has the epoch as the step. The status is ``FAILED``
    if a fit failed, with the tag ``error``; ``KILLED`` if the candidate was pruned, with the tag ``pruned_after``, or
    if the search ended before it.

    The run of the search has the metric ``best_mean_test_score`` (of the first scorer), with the number of finished
    candidates as the step, and the tag ``best_run_id``. What is no candidate of a search, as in ``cross_validate``, is
    not written.

    Examples
    --------
    >>> report = ffnn.callbacks.MLflowRuns("sqlite:///mlflow.db")  # doctest: +SKIP
    >>> with ffnn.pool("multiprocessing", report=report):  # doctest: +SKIP
    ...     search.fit(X, y)
    """

    def __init__(self, tracking_uri: str | None = None, experiment: str = "ffnn") -> None:
        for name, value in (("tracking_uri", tracking_uri), ("experiment", experiment)):
            if not isinstance(value, str) and not (name == "tracking_uri" and value is None):
                raise TypeError(f"{name} must be a str; got {value!r} of type {type(value).__name__}.")
            if value is not None and not value.strip():
                raise ValueError(f"{name} must not be empty; got {value!r}. Leave it out for the default.")
        try:
            # not while a search runs: scikit-learn looks at pandas and polars, which MLflow imports
            import mlflow  # noqa: F401 - so that later imports in other threads find it complete
        except ImportError as error:
            raise ImportError(
                f"MLflowRuns needs MLflow ({error}). Install it with: python -m pip install 'ffnn[mlflow]'"
            ) from error
        self.tracking_uri = tracking_uri
        self.experiment = experiment
        self._lock = threading.Lock()
        self._client: MlflowClient | None = None
        self._searches: dict[str, _Search] = {}

    def __repr__(self) -> str:
        """Return the call that makes an equal object."""
        return f"MLflowRuns({self.tracking_uri!r}, experiment={self.experiment!r})"

    def on_result(self, result: dict[str, Any]) -> None:
        """Write the result of a candidate's fit."""
        if result.get("candidate") is None:
            return
        with self._lock:
            search = self._searches.setdefault(result["search"], _Search())
            number, place = result["round"], (result["round"], result["candidate"])
            search.n_expected[number] = result["n_candidates"]
            if place not in search.candidates:
                name = f"candidate {result['candidate']}" + (f" of round {number}" if number else "")
                started = (result.get("ended") or time.time()) - (result.get("seconds") or 0.0)
                search.candidates[place] = _Candidate(name, result["parameters"], result["n_folds"], started)
            candidate = search.candidates[place]
            candidate.results.append(result)
            candidate.metrics += self._metrics(_scores_of(result), result)
            self._begin(search, candidate, result["estimator"])
            if len(candidate.results) == candidate.n_folds:
                self._close(search, candidate)
            else:
                self._write(candidate)

    def on_search_end(self, search: str) -> None:
        """End the run of a search, and those of the candidates that are not finished."""
        with self._lock:
            ended = self._searches.pop(search, None)
            if ended is None or ended.run is None:
                return
            for candidate in ended.candidates.values():
                if not candidate.is_closed and candidate.run is not None:
                    self._close(ended, candidate)
            whole = [one for one in ended.candidates.values() if one.is_closed and not one.results]
            is_whole = len(whole) == sum(ended.n_expected.values())
            self._connected().set_terminated(ended.run, "FINISHED" if is_whole else "KILLED")

    def _connected(self) -> MlflowClient:
        if self._client is None:
            from mlflow import MlflowClient

            self._client = MlflowClient(tracking_uri=self.tracking_uri)
        return self._client

    def _begin(self, search: _Search, candidate: _Candidate, estimator: str) -> None:
        """Begin the runs of a search and of a candidate, if there are none."""
        client = self._connected()
        if search.run is None:
            found = client.get_experiment_by_name(self.experiment)
            search.experiment = found.experiment_id if found is not None else client.create_experiment(self.experiment)
            run = client.create_run(search.experiment, int(candidate.started * 1000), run_name=f"search of {estimator}")
            search.run = run.info.run_id
        if candidate.run is None:
            from mlflow.entities import Param

            tags = {"mlflow.parentRunId": search.run}
            run = client.create_run(str(search.experiment), int(candidate.started * 1000), tags, candidate.name)
            params = [Param(_key(name), str(value)) for name, value in candidate.parameters.items()]
            client.log_batch(run.info.run_id, params=params, synchronous=True)
            candidate.run = run.info.run_id

    def _close(self, search: _Search, candidate: _Candidate) -> None:
        """Write the means and curves of a candidate, and end its run."""
        results, last = candidate.results, candidate.results[-1]
        failed, pruned = ([one for one in results if one.get(name)] for name in ("failed", "pruned"))
        is_whole = len(results) == candidate.n_folds
        means = _means_of(results) if is_whole and not pruned else {}
        candidate.metrics += self._metrics(means, last)
        curves = {name: mean_curve({"folds": results}, name) for name in _CURVES}
        for epoch in range(max(map(len, curves.values()))):
            values = {name: curve[epoch] for name, curve in curves.items() if epoch < len(curve)}
            candidate.metrics += self._metrics(values, last, epoch + 1)
        self._write(candidate)
        client = self._connected()
        assert candidate.run is not None  # it has begun
        assert search.run is not None
        if failed:
            errors = (one["error"] for one in failed if one.get("error"))
            client.set_tag(candidate.run, "error", next(errors, "a score is not a number"))
        if pruned:
            epochs = {len(one.get("curves", {}).get("loss", ())) for one in pruned}
            client.set_tag(candidate.run, "pruned_after", ", ".join(map(str, sorted(epochs))))
        status = "FAILED" if failed else "FINISHED" if is_whole and not pruned else "KILLED"
        client.set_terminated(candidate.run, status)
        candidate.is_closed = True
        if is_whole:
            results.clear()
        name = next((name for name in means if name.startswith("mean_test_")), None)
        score = None if name is None or failed else means[name]
        if score is not None and (search.best is None or score > search.best):
            search.best = score
            n_closed = sum(one.is_closed for one in search.candidates.values())
            best = self._metrics({f"best_{name}": score}, last, n_closed)
            client.log_batch(search.run, best, synchronous=True)
            client.set_tag(search.run, "best_run_id", candidate.run)

    def _write(self, candidate: _Candidate) -> None:
        """Write the metrics that are not written yet."""
        while candidate.metrics:
            some = candidate.metrics[:_MOST_METRICS]
            self._connected().log_batch(str(candidate.run), some, synchronous=True)
            del candidate.metrics[: len(some)]

    def _metrics(self, values: dict[str, float | None], result: dict[str, Any], step: int = 0) -> list[Metric]:
        from mlflow.entities import Metric

        moment = int((result.get("ended") or time.time()) * 1000)
        return [Metric(_key(name), value, moment, step) for name, value in values.items() if value is not None]


def _scores_of(result: dict[str, Any]) -> dict[str, float | None]:
    fold = result["fold"]
    found: dict[str, float | None] = {}
    for kind in ("test", "train"):
        scores = result.get("scores" if kind == "test" else "train_scores") or {}
        found |= {f"split{fold}_{kind}_{name}": value for name, value in scores.items()}
    return found


def _means_of(results: list[dict[str, Any]]) -> dict[str, float | None]:
    """Return the means over the folds, by the names of ``cv_results_``; none of what a fold lacks."""
    found: dict[str, float | None] = {}
    for name in results[0].get("scores") or {}:
        values = [(result.get("scores") or {}).get(name) for result in results]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            found |= {f"mean_test_{name}": statistics.fmean(known), f"std_test_{name}": statistics.pstdev(known)}
    times = [result["fit_time"] for result in results if result.get("fit_time") is not None]
    return found | ({"mean_fit_time": statistics.fmean(times)} if times else {})


def _key(name: str) -> str:
    """Return a name with the characters that MLflow allows."""
    return re.sub(r"[^\w\-. /:]", "_", name)
