"""``ffnn journal export --optuna``, read by Optuna and by its dashboard."""

from __future__ import annotations

import datetime
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.tree import DecisionTreeClassifier

import ffnn
from ffnn.cli import main
from ffnn.parallel.journal.store import Store

optuna = pytest.importorskip("optuna")

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::sklearn.exceptions.FitFailedWarning")
X, y = load_iris(return_X_y=True)
FIT = {"kind": "result", "function": "_fit_and_score", "estimator": "E", "search": "s", "failed": False, "ended": 1.0}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, GridSearchCV, GridSearchCV]:
    """Run a search with pruning, one with a failure and a cross-validation; return the folder and the searches."""
    folder = tmp_path_factory.mktemp("journals") / "run"
    mlp = ffnn.MLPClassifier((8,), n_epochs=9, early_stopping=True, n_iter_no_change=9, random_state=0)
    pruned = GridSearchCV(mlp, {"learning_rate": [1e-4, 1e-3, 1e-2], "activation": ["relu", "tanh"]}, cv=2, refit=False)
    tree = DecisionTreeClassifier(random_state=0)
    grid = [{"max_depth": [1, 2, None]}, {"max_depth": [3], "criterion": ["entropy", "none such"]}]
    failing = GridSearchCV(tree, grid, cv=3, refit=False, scoring=["accuracy", "f1_macro"])
    policy = ffnn.SuccessiveHalving(factor=3, first_epoch=2)
    with ffnn.pool("threads", journal=folder, prune=policy, progress=False):
        pruned.fit(X, y)
        cross_validate(tree, X, y, cv=2)
    with ffnn.pool("threads", journal=folder, progress=False):
        failing.fit(X, y)
    return folder, pruned, failing


def export(capsys: Any, *arguments: Any, status: int = 0) -> str:
    assert main(["journal", "export", *map(str, arguments)]) == status
    out, err = capsys.readouterr()
    return out if status == 0 else err


def studies(path: Path) -> list[Any]:
    from optuna.storages.journal import JournalFileBackend

    storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    return [optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage)]


def test_optuna_reads_the_candidates_as_trials(run: Any, tmp_path: Path, capsys: Any) -> None:
    folder, search, _ = run
    assert export(capsys, folder, "--optuna", tmp_path / "out.log") == f"{tmp_path}/out.log: 11 trials\n"
    assert [file.name for file in tmp_path.iterdir()] == ["out.log"]
    study, _ = studies(tmp_path / "out.log")
    assert study.study_name == "MLPClassifier 1"
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert study.metric_names == ["score"]
    assert study.user_attrs["journal"] == str(folder)
    assert study.user_attrs["intermediate_values"] == "validation_loss"
    assert study.best_params == search.best_params_
    assert study.best_value == pytest.approx(search.best_score_)
    best = study.best_trial
    folds = [search.cv_results_[f"split{i}_test_score"][search.best_index_] for i in range(2)]
    assert [best.user_attrs[f"split{i}_test_score"] for i in range(2)] == folds
    assert best.distributions["learning_rate"] == optuna.distributions.FloatDistribution(1e-4, 1e-2, log=True)
    assert set(best.distributions["activation"].choices) == {"relu", "tanh"}
    assert sorted(best.intermediate_values) == list(range(1, 10))
    pruned = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.PRUNED]
    assert len(study.trials) == 1 + len(pruned) == 6
    assert sorted(len(trial.intermediate_values) for trial in pruned) == [2, 2, 2, 2, 6]
    assert {trial.user_attrs["pruned_after"] for trial in pruned} == {"2", "6"}
    assert {str(trial.params) for trial in study.trials} == {str(params) for params in search.cv_results_["params"]}


def test_intermediate_values_are_the_mean_of_the_folds(run: Any, tmp_path: Path, capsys: Any) -> None:
    export(capsys, run[0], "--optuna", tmp_path / "out.log")
    assert main(["journal", "show", str(run[0]), "--json"]) == 0
    best = json.loads(capsys.readouterr().out)["searches"][0]["candidates"][0]
    first, second = (fold["curves"]["validation_loss"] for fold in best["folds"])
    means = {epoch: (a + b) / 2 for epoch, (a, b) in enumerate(zip(first, second, strict=True), 1)}
    assert studies(tmp_path / "out.log")[0].best_trial.intermediate_values == pytest.approx(means)


def test_failures_and_other_parameters_are_exported(run: Any, tmp_path: Path, capsys: Any) -> None:
    folder, _, search = run
    export(capsys, folder, "--optuna", tmp_path / "out.log")
    _, study = studies(tmp_path / "out.log")
    assert study.study_name == "DecisionTreeClassifier 2"
    assert study.metric_names == ["accuracy"]
    trials = {frozenset(trial.params.items()): trial for trial in study.trials}
    for i, params in enumerate(search.cv_results_["params"]):
        trial = trials[frozenset(params.items())]
        if params.get("criterion") == "none such":
            assert trial.state == optuna.trial.TrialState.FAIL
            assert trial.value is None
            assert "none such" in trial.user_attrs["error"]
            continue
        assert trial.state == optuna.trial.TrialState.COMPLETE
        assert trial.value == pytest.approx(search.cv_results_["mean_test_accuracy"][i])
        assert trial.user_attrs["mean_test_f1_macro"] == pytest.approx(search.cv_results_["mean_test_f1_macro"][i])
        assert trial.user_attrs["std_test_accuracy"] == pytest.approx(search.cv_results_["std_test_accuracy"][i])
        assert trial.datetime_start < trial.datetime_complete
        since = datetime.datetime.now(trial.datetime_start.tzinfo) - trial.datetime_start
        assert since < datetime.timedelta(minutes=30)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 64], optuna.distributions.IntDistribution(1, 64)),
        ([4, 1024], optuna.distributions.IntDistribution(4, 1024, log=True)),
        ([0, 1024.0], optuna.distributions.FloatDistribution(0, 1024)),
        ([None, 3], optuna.distributions.CategoricalDistribution([None, 3])),
        ([True, 1, "a"], optuna.distributions.CategoricalDistribution(["'a'", "1", "True"])),
    ],
)
def test_parameters_have_distributions(values: Any, expected: Any, tmp_path: Path, capsys: Any) -> None:
    store = Store(tmp_path / "run")
    for i, value in enumerate(values):
        meta = FIT | {"key": str(i), "parameters": {"p": value}, "n_folds": 1, "scores": {"s": 0.5 - i}}
        store.add({**meta, "ended": float(i)})
    export(capsys, tmp_path / "run", "--optuna", tmp_path / "out.log")
    (study,) = studies(tmp_path / "out.log")
    assert study.trials[0].distributions["p"] == expected
    texts = isinstance(expected, optuna.distributions.CategoricalDistribution) and "True" in expected.choices
    assert [trial.params["p"] for trial in study.trials] == [repr(value) if texts else value for value in values]


def test_a_candidate_without_all_folds_is_running(tmp_path: Path, capsys: Any) -> None:
    store = Store(tmp_path / "run")
    store.add(FIT | {"key": "1", "parameters": {"p": 1}, "fold": 0, "n_folds": 2, "scores": {"s": 0.5}})
    export(capsys, tmp_path / "run", "--optuna", tmp_path / "out.log")
    (trial,) = studies(tmp_path / "out.log")[0].trials
    assert trial.state == optuna.trial.TrialState.RUNNING
    assert trial.user_attrs["split0_test_s"] == 0.5


def test_the_dashboard_lists_the_studies(run: Any, tmp_path: Path, capsys: Any) -> None:
    dashboard = pytest.importorskip("optuna_dashboard")
    export(capsys, run[0], "--optuna", tmp_path / "out.log")
    from optuna.storages.journal import JournalFileBackend

    app = dashboard.wsgi(optuna.storages.JournalStorage(JournalFileBackend(str(tmp_path / "out.log"))))
    answer: list[Any] = []
    request = {"REQUEST_METHOD": "GET", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr}
    paths = ["/api/studies", "/api/studies/0"]
    page = {path: b"".join(app({**request, "PATH_INFO": path}, lambda *a: answer.append(a))) for path in paths}
    assert [status for status, *_ in answer] == ["200 OK"] * 2
    names = [study["study_name"] for study in json.loads(page["/api/studies"])["study_summaries"]]
    assert sorted(names) == ["DecisionTreeClassifier 2", "MLPClassifier 1"]
    states = [trial["state"] for trial in json.loads(page["/api/studies/0"])["trials"]]
    assert sorted(states) == ["Complete", *["Pruned"] * 5]


def test_a_file_is_replaced_only_if_asked(run: Any, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "out.log"
    path.write_text("mine")
    assert "--force" in export(capsys, run[0], "--optuna", path, status=1)
    assert path.read_text() == "mine"
    export(capsys, run[0], "--optuna", path, "--force")
    assert len(studies(path)) == 2
    assert "is a folder; name a file" in export(capsys, run[0], "--optuna", tmp_path, "--force", status=1)
    assert "there is no folder" in export(capsys, run[0], "--optuna", tmp_path / "no" / "out.log", status=1)


def test_a_journal_without_a_search_is_an_error(tmp_path: Path, capsys: Any) -> None:
    Store(tmp_path / "run")
    message = export(capsys, tmp_path / "run", "--optuna", tmp_path / "out.log", status=1)
    assert "has no search to export" in message
    assert not (tmp_path / "out.log").exists()


def test_without_optuna_the_extra_is_named(run: Any, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    message = export(capsys, run[0], "--optuna", tmp_path / "out.log", status=1)
    assert "pip install 'ffnn[optuna]'" in message
    assert list(tmp_path.iterdir()) == []
