"""``ffnn journal show``."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import warnings

import joblib
import pytest
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, StratifiedKFold, cross_validate
from sklearn.tree import DecisionTreeClassifier

import ffnn
from ffnn.cli import main
from ffnn.parallel.journal.store import Store

HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[31m&'\""
X, y = load_iris(return_X_y=True)


def hostile_class():
    class Named(DecisionTreeClassifier):
        def __init__(self, label="", max_depth=None, random_state=0):
            super().__init__(max_depth=max_depth, random_state=random_state)
            self.label = label

        def fit(self, X, y):
            if self.max_depth == 3:
                raise ValueError(self.label)
            return super().fit(X, y)

    Named.__name__ = "Named"
    return Named


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run a search, a part of which fails, a cross-validation and some calls; return the folder and the search."""
    folder = tmp_path_factory.mktemp("journals") / "run"
    grid = {"max_depth": [1, 2, 3, 4], "label": ["plain", HOSTILE]}
    search = GridSearchCV(hostile_class()(), grid, cv=3, refit=False, scoring=["accuracy", "f1_macro"])
    with ffnn.pool(n_workers=2, journal=folder, progress=False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, y)
        cross_validate(DecisionTreeClassifier(random_state=0), X, y, cv=4)
        joblib.Parallel()(joblib.delayed(pow)(i, 2) for i in range(3))
        HalvingGridSearchCV(
            DecisionTreeClassifier(random_state=1), {"max_depth": [1, 2, 3, 4]}, cv=2, factor=2, random_state=0
        ).fit(X, y)
    return folder, search


@pytest.fixture(scope="module")
def pruned_run(tmp_path_factory):
    """Run a search that stops all but one of its six candidates; return the folder, the search and what was stopped."""
    folder = tmp_path_factory.mktemp("journals") / "pruned"
    mlp = ffnn.MLPClassifier((8,), n_epochs=9, early_stopping=True, n_iter_no_change=9, random_state=0)
    grid = {"learning_rate": [1e-4, 1e-3, 1e-2], "weight_decay": [1e-5, 1e-2]}
    search = GridSearchCV(mlp, grid, cv=2, refit=False)
    policy = ffnn.SuccessiveHalving(factor=3, first_epoch=2)
    with ffnn.pool("threads", journal=folder, prune=policy, progress=False) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, y)
    return folder, search, pool.pruned


def shown(capsys, *arguments) -> str:
    assert main(["journal", "show", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_json_has_the_results_of_the_search(run, capsys):
    folder, search = run
    grid, cross, calls, halving = json.loads(shown(capsys, folder, "--json"))["searches"]
    assert (grid["n_tasks"], grid["n_expected"], grid["n_failed"]) == (24, 24, 6)
    assert grid["scores"] == ["accuracy", "f1_macro"]
    found = {(row["parameters"]["max_depth"], row["parameters"]["label"]): row for row in grid["candidates"]}
    assert len(found) == 8
    for i, candidate in enumerate(search.cv_results_["params"]):
        row = found[candidate["max_depth"], candidate["label"]]
        mean = search.cv_results_["mean_test_f1_macro"][i]
        if candidate["max_depth"] == 3:
            assert row["n_failed"] == 3
            assert row["mean"]["f1_macro"] is None
            assert row["folds"][0]["error"].startswith("ValueError: " + candidate["label"][:10])
            continue
        assert row["mean"]["f1_macro"] == pytest.approx(mean)
        assert row["std"]["f1_macro"] == pytest.approx(search.cv_results_["std_test_f1_macro"][i])
        assert row["mean_fit_time"] == pytest.approx(search.cv_results_["mean_fit_time"][i])
        folds = [fold["scores"]["accuracy"] for fold in row["folds"]]
        assert folds == [search.cv_results_[f"split{n}_test_accuracy"][i] for n in range(3)]
        assert all(fold["worker"] and fold["seconds"] > 0 for fold in row["folds"])
    best = [row["mean"]["accuracy"] for row in grid["candidates"]]
    assert best[:6] == sorted(best[:6], reverse=True)
    assert best[6:] == [None, None]
    assert len(cross["candidates"][0]["folds"]) == 4
    assert sorted(row["mean"]["result"] for row in calls["candidates"]) == [0, 1, 4]
    assert len({row["n_train"] for row in halving["candidates"]}) > 1
    assert all(len(row["folds"]) == 2 for row in halving["candidates"])


def test_the_table_has_a_line_for_each_candidate(run, capsys):
    text = shown(capsys, run[0])
    assert "Named: 24 of 24 fits, 6 failed" in text
    assert "DecisionTreeClassifier: 4 of 4 fits" in text
    assert "pow: 3 calls" in text
    assert re.search(r"^label +max_depth +accuracy +f1_macro +fold 0 +fold 1 +fold 2 +seconds +failed$", text, re.M)
    assert len(re.findall(r"^plain .* ± ", text, re.M)) == 3
    assert "failed 3 x: ValueError: plain" in text
    assert "\x1b" not in text


def test_a_candidate_that_was_mended_is_no_failure(tmp_path, capsys):
    store = Store(tmp_path / "run")
    meta = {"kind": "result", "function": "f", "key": "1", "parameters": {}, "ended": 5.0}
    store.add(meta | {"failed": True, "error": "spoilt", "reusable": False})
    store.add(meta | {"failed": False, "scores": {"result": 1.0}, "reusable": True, "ended": 4.0}, b"x")
    assert "failed" not in shown(capsys, tmp_path / "run")


def test_json_has_the_curves_and_what_was_pruned(pruned_run, capsys):
    folder, search, stopped = pruned_run
    (found,) = json.loads(shown(capsys, folder, "--json"))["searches"]
    counts = (found["n_tasks"], found["n_expected"], found["n_failed"], found["n_pruned"])
    assert counts == (12, 12, 0, len(stopped))
    best, *losers = found["candidates"]
    assert best["parameters"] == search.best_params_
    assert best["mean"]["score"] == pytest.approx(search.best_score_)
    assert (best["n_pruned"], best["pruned_after"]) == (0, [])
    fit = ffnn.MLPClassifier((8,), n_epochs=9, early_stopping=True, n_iter_no_change=9, random_state=0)
    train, _ = next(iter(StratifiedKFold(2).split(X, y)))
    fit.set_params(**search.best_params_).fit(X[train], y[train])
    assert best["folds"][0]["curves"] == {"loss": fit.loss_curve_, "validation_loss": fit.validation_loss_curve_}
    assert [row["pruned_after"] for row in losers] == [[6], [2], [2], [2], [2]]
    for row in losers:
        assert row["mean"] == {"score": None}
        assert all(fold["pruned"] and not fold["failed"] for fold in row["folds"])
        assert all(len(fold["curves"]["loss"]) == row["pruned_after"][0] for fold in row["folds"])


def test_the_table_says_when_candidates_were_pruned(run, pruned_run, capsys):
    text = shown(capsys, pruned_run[0])
    assert "MLPClassifier: 12 of 12 fits, 10 pruned\n" in text
    assert re.search(r"^learning_rate +weight_decay +score +fold 0 +fold 1 +seconds +pruned after$", text, re.M)
    assert re.findall(r"  (\d epochs)$", text, re.M) == ["6 epochs", *["2 epochs"] * 4]
    assert "failed" not in text
    assert "pruned" not in shown(capsys, run[0])


@pytest.mark.parametrize("order", [1, -1])
def test_a_fit_that_was_pruned_once_and_whole_once_counts_as_whole(tmp_path, capsys, order):
    store = Store(tmp_path / "run")
    meta = {"kind": "result", "function": "_fit_and_score", "estimator": "E", "parameters": {}, "n_folds": 1, "fold": 0}
    records = [
        meta | {"key": "1:pruned", "pruned": True, "scores": {"score": None}, "curves": {"loss": [2.0]}},
        meta | {"key": "1", "scores": {"score": 0.5}, "curves": {"loss": [2.0, 1.0]}},
    ]
    for at, record in enumerate(records[::order]):
        store.add(record | {"failed": False, "reusable": True, "ended": float(at)}, b"x")
    (found,) = json.loads(shown(capsys, tmp_path / "run", "--json"))["searches"]
    assert (found["n_tasks"], found["n_pruned"], found["candidates"][0]["mean"]) == (1, 0, {"score": 0.5})


def test_a_candidate_that_was_pruned_in_one_fold_is_ranked_last(tmp_path, capsys):
    store = Store(tmp_path / "run")
    meta = {"kind": "result", "function": "_fit_and_score", "estimator": "E", "n_folds": 2, "failed": False}
    fits = [("a", 0, 0.9, {}), ("a", 1, None, {"pruned": True, "curves": {"loss": [1.0]}}), ("b", 0, 0.1, {})]
    for name, fold, score, more in fits:
        store.add(
            meta | {"key": f"{name}{fold}", "parameters": {"p": name}, "fold": fold, "scores": {"s": score}} | more
        )
    (found,) = json.loads(shown(capsys, tmp_path / "run", "--json"))["searches"]
    assert [(row["parameters"]["p"], row["mean"]["s"]) for row in found["candidates"]] == [("b", 0.1), ("a", None)]


def test_damage_is_counted(run, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(run[0], copy)
    (file,) = copy.glob("*.journal")
    data = bytearray(file.read_bytes())
    at = data.find(b'"kind":"result"')
    data[at] ^= 1
    file.write_bytes(data)
    text = shown(capsys, copy)
    assert "1 damaged record left out" in text
    assert "23 of 24 fits" in text


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda path: None, "cannot be read: No such file"),
        (lambda path: path.write_text("x"), "is a file"),
        (lambda path: (path.mkdir(), (path / "a.txt").touch()), r"other files \(a.txt\)"),
    ],
)
def test_what_is_no_journal_is_an_error(tmp_path, capsys, make, match):
    make(tmp_path / "it")
    assert main(["journal", "show", str(tmp_path / "it")]) == 1
    assert re.search(match, capsys.readouterr().err)


def test_an_empty_journal_is_shown(tmp_path, capsys):
    Store(tmp_path / "run")
    assert "Nothing is recorded yet." in shown(capsys, tmp_path / "run")


def test_a_report_that_cannot_be_written_is_an_error(run, tmp_path, capsys):
    assert main(["journal", "show", str(run[0]), "--html", str(tmp_path / "no" / "report.html")]) == 1
    assert "there is no folder" in capsys.readouterr().err
    before = sorted(run[0].iterdir())
    assert main(["journal", "show", str(run[0]), "--html", str(run[0])]) == 1
    assert "is a folder; name a file" in capsys.readouterr().err
    assert sorted(run[0].iterdir()) == before


def test_following_shows_what_is_added(tmp_path):
    store = Store(tmp_path / "run")
    command = [sys.executable, "-c", "from ffnn.cli import main; main()", "journal", "show", "--follow"]
    with subprocess.Popen([*command, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while "Nothing is recorded yet" not in process.stdout.readline():
            pass
        store.add({"kind": "result", "function": "f", "key": "1", "scores": {"result": 1}, "reusable": True}, b"x")
        while "f: 1 call" not in process.stdout.readline():
            pass
        process.kill()


def test_the_report_holds_hostile_names_as_data(run, tmp_path, capsys):
    shown(capsys, run[0], "--html", tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "<img" not in text
    assert text.count("</script>") == 2
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    own = text.replace(data[1], "")
    assert not re.search(r"(?:src|href)=|https?://(?!www\.w3\.org/2000/svg)|@import|url\(", own)
    labels = {row["parameters"].get("label") for row in json.loads(data[1])["searches"][0]["candidates"]}
    assert labels == {"plain", HOSTILE}


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def drawn(report, profile) -> str:
    """Return what a browser has made of a report."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"--user-data-dir={profile}"]
    page = subprocess.run([*command, report.as_uri()], capture_output=True, text=True, check=True, timeout=100).stdout
    return page[page.index("<main") : page.index("</main>")]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_browser_draws_the_report(run, tmp_path, capsys):
    shown(capsys, run[0], "--html", tmp_path / "report.html")
    page = drawn(tmp_path / "report.html", tmp_path / "c")
    assert page.count('class="candidate"') >= 6
    summary = json.loads(shown(capsys, run[0], "--json"))
    assert page.count('class="task') == sum(search["n_tasks"] for search in summary["searches"])
    assert "Best candidates" in page
    assert "loss" not in page
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<img" not in page


HOVER = """<script>document.querySelector("path.pruned").dispatchEvent(new MouseEvent("mouseenter"))</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_browser_draws_the_curves(pruned_run, tmp_path, capsys):
    report = tmp_path / "report.html"
    shown(capsys, pruned_run[0], "--html", report)
    report.write_text(report.read_text().replace("</body>", HOVER))
    page = drawn(report, tmp_path / "c")
    parameters, curves = re.findall(r"<svg.*?</svg>", page, re.S)[:2]
    assert "12 of 12 fits, 6 candidates, 10 pruned" in page
    assert "Validation loss, mean of the folds" in page
    for svg in (parameters, curves):
        lines = re.findall(r'<path class="(candidate[^"]*)" d="([^"]*)"', svg)
        assert sorted(kind for kind, _ in lines) == ["candidate", *["candidate pruned"] * 4, "candidate pruned on"]
    assert sorted(line.count("L") + 1 for _, line in lines) == [2, 2, 2, 2, 6, 9]  # a point for each epoch
    assert curves.count('class="end"') == 5
    table = re.findall(r'<tr class="([^"]*)"', page)
    assert sorted(table) == [*["pruned"] * 4, "pruned on"]  # what the mouse is on is marked everywhere


def test_long_curves_are_thinned_in_the_report(tmp_path, capsys):
    store = Store(tmp_path / "run")
    meta = {"kind": "result", "function": "_fit_and_score", "estimator": "E", "parameters": {}, "n_folds": 2}
    for fold, length in enumerate([5000, 4000]):
        loss = [float(i + fold) for i in range(length)]
        store.add(meta | {"key": str(fold), "fold": fold, "failed": False, "curves": {"loss": loss}})
    shown(capsys, tmp_path / "run", "--html", tmp_path / "report.html")
    data = re.search(r'id="data">(.*?)</script>', (tmp_path / "report.html").read_text(), re.S)
    (search,) = json.loads(data[1])["searches"]
    (row,) = search["candidates"]
    assert search["monitor"] == "loss"
    assert len(row["curve"]) <= 251
    assert row["curve"][:2] == [[1, 0.5], [2, 1.5]]
    assert row["curve"][-1] == [4000, 3999.5]
    assert "curves" not in row["folds"][0]
