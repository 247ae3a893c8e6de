"""Searches as runs of MLflow, in a SQLite file."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, StratifiedKFold, cross_validate
from sklearn.tree import DecisionTreeClassifier

import ffnn
from ffnn.callbacks import MLflowRuns

mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install 'ffnn[mlflow]'")

pytestmark = [
    pytest.mark.slow,  # MLflow takes two seconds to import, and one to make its tables
    pytest.mark.timeout(110),
    pytest.mark.filterwarnings(
        "ignore:One or more of the test scores",
        "ignore::sklearn.exceptions.FitFailedWarning",
        "ignore:.*noload:DeprecationWarning",
    ),
]
X, y = load_iris(return_X_y=True)
TREE = DecisionTreeClassifier(random_state=0)
MLP = ffnn.MLPClassifier((8,), n_epochs=9, early_stopping=True, n_iter_no_change=9, random_state=0)
RATES = {"learning_rate": [1e-4, 1e-3, 1e-2]}


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of a store, which takes a second to make."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/runs.db"


@pytest.fixture
def report(uri: str, request: pytest.FixtureRequest) -> MLflowRuns:
    """Return a listener that writes to an experiment of the test's own."""
    return MLflowRuns(uri, experiment=request.node.name)


def run(search: Any, report: MLflowRuns, **options: Any) -> Any:
    with ffnn.pool("threads", n_workers=2, progress=False, report=report, **options):
        return search.fit(X, y)


def written(report: MLflowRuns) -> tuple[Any, list[Any], dict[str, Any]]:
    """Return the client, the runs of searches, and those of candidates by their names."""
    client = mlflow.MlflowClient(report.tracking_uri)
    experiment = client.get_experiment_by_name(report.experiment)
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])
    parents = [one for one in runs if "mlflow.parentRunId" not in one.data.tags]
    return client, parents, {one.info.run_name: one for one in runs if one not in parents}


def history(client: Any, run: Any, name: str) -> dict[int, float]:
    return {metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, name)}


def test_each_candidate_is_a_run_below_that_of_the_search(report: MLflowRuns) -> None:
    grid = {"max_depth": [1, 2, 3], "criterion": ["gini", "entropy"]}
    search = run(GridSearchCV(TREE, grid, cv=3, scoring=["accuracy", "f1_macro"], refit=False), report)
    client, (parent,), runs = written(report)
    assert (parent.info.run_name, parent.info.status) == ("search of DecisionTreeClassifier", "FINISHED")
    assert sorted(runs) == [f"candidate {i}" for i in range(6)]
    results = search.cv_results_
    for i, params in enumerate(results["params"]):
        one = runs[f"candidate {i}"]
        assert one.data.params == {name: str(value) for name, value in params.items()}
        assert one.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert one.info.status == "FINISHED"
        expected = {name: values[i] for name, values in results.items() if re.search("_test_", name)}
        expected = {name: value for name, value in expected.items() if not name.startswith("rank")}
        assert one.data.metrics == pytest.approx(expected | {"mean_fit_time": results["mean_fit_time"][i]})
    best = parent.data.metrics["best_mean_test_accuracy"]
    assert best == pytest.approx(max(results["mean_test_accuracy"]))
    assert client.get_run(parent.data.tags["best_run_id"]).data.metrics["mean_test_accuracy"] == best


@pytest.mark.parametrize("has_journal", [False, True])
def test_epochs_are_steps_and_pruned_candidates_are_marked(
    report: MLflowRuns, has_journal: bool, tmp_path: Any
) -> None:
    options = {"journal": tmp_path / "run"} if has_journal else {}
    policy = ffnn.SuccessiveHalving(factor=3, first_epoch=2)
    search = run(GridSearchCV(clone(MLP), RATES, cv=2, refit=False), report, prune=policy, **options)
    client, (parent,), runs = written(report)
    assert parent.info.status == "FINISHED"
    best = runs.pop(f"candidate {search.best_index_}")
    assert best.info.status == "FINISHED"
    curves = []
    for train, _ in StratifiedKFold(2).split(X, y):
        fitted = clone(MLP).set_params(**search.best_params_).fit(X[train], y[train])
        curves.append((fitted.loss_curve_, fitted.validation_loss_curve_))
    for i, name in enumerate(("loss", "validation_loss")):
        means = {
            epoch: sum(values) / 2 for epoch, values in enumerate(zip(*(fold[i] for fold in curves), strict=True), 1)
        }
        assert history(client, best, name) == pytest.approx(means)
    assert len(runs) == 2
    for one in runs.values():
        assert (one.info.status, one.data.tags["pruned_after"]) == ("KILLED", "2")
        assert sorted(history(client, one, "loss")) == [1, 2]
        assert "mean_test_score" not in one.data.metrics


def test_a_resumed_search_has_what_the_journal_has(report: MLflowRuns, tmp_path: Path) -> None:
    search = GridSearchCV(clone(MLP), {"learning_rate": [1e-3, 1e-2]}, cv=2, refit=False)
    first = MLflowRuns(report.tracking_uri, f"{report.experiment} first")
    run(clone(search), first, journal=tmp_path / "run")
    run(search, report, journal=tmp_path / "run")
    client, (parent,), runs = written(report)
    _, _, others = written(first)
    assert parent.info.status == "FINISHED"
    assert sorted(runs) == sorted(others) == ["candidate 0", "candidate 1"]
    for name, one in runs.items():
        assert one.data.metrics == others[name].data.metrics
        assert history(client, one, "loss") == history(client, others[name], "loss")


def test_failures_are_marked(report: MLflowRuns) -> None:
    run(GridSearchCV(TREE, {"max_depth": [-1, 2]}, cv=2), report)
    _, (parent,), runs = written(report)
    assert parent.info.status == "FINISHED"
    assert runs["candidate 0"].info.status == "FAILED"
    assert "max_depth" in runs["candidate 0"].data.tags["error"]
    assert runs["candidate 1"].info.status == "FINISHED"


def test_a_search_that_ends_early_is_marked(report: MLflowRuns) -> None:
    search = GridSearchCV(TREE, {"max_depth": [2, -1]}, cv=2, error_score="raise", pre_dispatch=1)
    with pytest.raises(ValueError, match="max_depth"):
        run(search, report)
    _, parents, runs = written(report)
    assert [one.info.status for one in parents] == ["KILLED"]
    assert runs["candidate 0"].data.metrics["split0_test_score"] > 0


def test_rounds_of_a_halving_search_are_named(report: MLflowRuns) -> None:
    search = HalvingGridSearchCV(TREE, {"max_depth": [1, 2, 3, 4]}, cv=2, factor=2, random_state=0)
    run(search, report)
    with ffnn.pool("threads", progress=False, report=report):
        cross_validate(TREE, X, y, cv=2)
    _, (parent,), runs = written(report)
    assert parent.info.status == "FINISHED"
    rounds = enumerate(search.n_candidates_)
    expected = {f"candidate {i}{f' of round {n}' if n else ''}" for n, count in rounds for i in range(count)}
    assert set(runs) == expected


def test_the_guide_writes_its_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    page = (Path(__file__).parents[2] / "docs/tools.md").read_text()
    code, listener = re.findall(r"^```python.*?\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(code.replace('"multiprocessing"', '"threads"') + listener, names)
    _, (parent,), runs = written(names["report"])
    assert parent.info.status == "FINISHED"
    assert len(runs) == 6
    assert sorted({one.info.status for one in runs.values()}) == ["FINISHED", "KILLED"]
    assert (tmp_path / "mlflow.db").is_file()
    search = run(GridSearchCV(TREE, {"max_depth": [1, 2]}, cv=2), names["Best"]())
    assert (
        f"{max(search.cv_results_[f'split{i}_test_score'].max() for i in range(2)):.4f} {{" in capsys.readouterr().out
    )


FIRST_USE = """
import sys, ffnn
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV
search = GridSearchCV(DummyClassifier(), {"random_state": list(range(100))}, cv=3)
with ffnn.pool("threads", n_workers=1, progress=False, report=ffnn.callbacks.MLflowRuns(sys.argv[1])):
    search.fit(*load_iris(return_X_y=True))
"""


def test_the_first_search_of_a_process_is_not_disturbed(tmp_path: Path) -> None:
    """scikit-learn looks at pandas and polars where they are imported, and MLflow imports them."""
    command = [sys.executable, "-c", FIRST_USE, f"sqlite:///{tmp_path}/runs.db"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("uri", ["sqlite:////dev/full", "http://127.0.0.1:9"])
def test_a_store_that_fails_is_warned_of_once(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.warns(UserWarning, match="a result was not passed on") as caught:
        search = run(GridSearchCV(TREE, {"max_depth": [1, 2]}, cv=2), MLflowRuns(uri))
    assert len([one for one in caught if "passed on" in str(one.message)]) == 1
    assert search.best_score_ > 0.5


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"tracking_uri": 5}, TypeError, "tracking_uri must be a str; got 5"),
        ({"tracking_uri": Path("x")}, TypeError, "tracking_uri must be a str"),
        ({"experiment": None}, TypeError, "experiment must be a str; got None"),
        ({"experiment": " "}, ValueError, "experiment must not be empty"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        MLflowRuns(**arguments)


def test_without_mlflow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ImportError, match=r"pip install 'ffnn\[mlflow\]'"):
        MLflowRuns()
