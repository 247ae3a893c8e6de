"""The benchmarks' harness, on a tiny piece of work, and the page that is made of stored figures."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time

import pytest

from benchmarks.suite import __main__ as suite
from benchmarks.suite import page
from benchmarks.suite.contest import Bar, Check, Measurement, NotMeasured, Results, Work, faster
from benchmarks.suite.data import corpus
from benchmarks.suite.report import markdown
from benchmarks.suite.rounds import PROFILES, Profile, measure
from benchmarks.suite.works import WORKS

TINY = PROFILES["tiny"]


def run_of(seconds, **more):
    return {"seconds": {"fit": seconds}, "figures": {"peak MB": 100.0}, "checks": [], "note": ""} | more


def results_of(*works):
    machine = {"processor": "a CPU", "cores": 2, "memory_gb": 8.0, "system": "Linux", "load_at_start": 0.1}
    head = {"format": 1, "profile": "full", "date": "2026-01-01", "minutes": 60.0, "versions": {"ffnn": "0.1.0"}}
    return head | {"machine": machine, "works": list(works)}


def work_of(runs, bars):
    judged = [bar.judge(Results(runs)) for bar in bars]
    return {"key": "k", "title": "a fit", "data": None, "size": "full", "runs": runs, "bars": judged}


BAR = faster("S1", "as fast as a peer", ("peer", "fit"), ("ffnn, tf", "fit"), 10)


# --- the harness


@pytest.mark.slow
def test_a_tiny_work_runs_through_the_harness():
    lines = []
    measured = measure(WORKS["digits-100"], TINY, log=lines.append)
    assert list(measured["runs"]) == [
        "ffnn, tf",
        "ffnn, native",
        "ffnn, native on AVX2",
        "scikit-learn",
        "scikit-learn, X in float32",
    ]
    for runs in measured["runs"].values():
        (run,) = runs
        assert "error" not in run, run
        assert min(run["seconds"]["first fit"], run["seconds"]["later fits"]) > 0
        assert run["figures"]["peak MB"] > 50
        assert all(check["passed"] for check in run["checks"])
    assert {bar["item"] for bar in measured["bars"]} == {"S3"}
    assert all(bar["figure"] > 0 for bar in measured["bars"])
    assert any("scikit-learn: first fit" in line for line in lines)
    assert "| ffnn, tf: later fits |" in markdown(results_of(measured))


def test_rounds_are_interleaved_and_some_are_discarded():
    lines = []
    statements = ["import csv", "import wave"]
    work = Work("import", "imports", WORKS["import"].run, statements, {"tiny": {}}, discarded=1)
    measured = measure(work, Profile("tiny", 2, 60.0), log=lines.append)
    assert {len(runs) for runs in measured["runs"].values()} == {2}
    order = [re.match(r"  (\d)/2 (.*): import", line) for line in lines]
    assert [(found[1], found[2]) for found in order if found] == [(n, name) for n in "12" for name in statements]


def test_a_contestant_that_fails_or_is_too_slow_is_a_row():
    work = Work("import", "imports", WORKS["import"].run, ["import ffnn", "import no_such_module"], {"tiny": {}})
    runs = measure(work, TINY, log=lambda line: None)["runs"]
    assert runs["import ffnn"][0]["seconds"]["import"] > 0
    assert runs["import no_such_module"] == [{"error": "ModuleNotFoundError: No module named 'no_such_module'"}]
    slow = Work("import", "imports", WORKS["import"].run, ["import time; time.sleep(60)"], {"tiny": {}})
    start = time.perf_counter()
    (runs,) = measure(slow, Profile("tiny", 3, 1.0), log=lambda line: None)["runs"].values()
    assert runs == [{"error": "over its limit of 1 s"}]
    assert time.perf_counter() - start < 20
    assert "| failed: over its limit of 1 s |" in markdown(results_of(work_of({"slow": runs}, [])))


def test_the_works_import_nothing_heavy():
    code = "import sys, benchmarks.suite.child; print({'numpy', 'sklearn', 'ffnn', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=page.ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_aim_has_a_bar_and_every_work_its_sizes():
    aims = {f"S{number}" for number in range(1, 9)} | {f"G{number}" for number in range(1, 8)}
    assert {bar.item for work in WORKS.values() for bar in work.bars} == aims
    for work in WORKS.values():
        assert set(work.sizes) == {"full", "quick", "tiny"}


def test_the_generated_corpus_has_its_shape_and_can_be_learned():
    X, y = corpus(300, 1_000, 50, seed=0, skew=0.0)
    assert X.shape == (300, 1_000)
    assert X.has_canonical_format
    assert 40 < X.nnz / 300 < 60
    odd, even = X[:, 1::2].sum(axis=1), X[:, ::2].sum(axis=1)
    assert ((odd - even)[y == 1]).mean() > ((odd - even)[y == 0]).mean() + 5
    again, _ = corpus(300, 1_000, 50, seed=0, skew=0.0)
    assert (again != X).nnz == 0


def test_a_contestant_is_held_to_older_instructions():
    code = (
        "from benchmarks.suite.levels import hold, on_avx2; from ffnn.kernels import describe; "
        "print(hold(on_avx2('ffnn, native')), describe())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=page.ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ffnn, native kernels: ")
    assert "AVX-512" not in done.stdout


def test_a_cold_process_is_timed_from_its_start():
    code = "import time; time.sleep(0.3); from benchmarks.suite.stopwatch import *; print(seconds_since_start())"
    done = subprocess.run([sys.executable, "-c", code], cwd=page.ROOT, capture_output=True, text=True, check=True)
    assert 0.3 <= float(done.stdout) < 60


def test_works_that_are_measured_again_replace_those_that_are_stored(tmp_path):
    path = tmp_path / "speed.json"
    old, new = (
        work_of({"peer": [run_of(seconds)]}, [])
        | {"key": key, "date": date, "machine": {"processor": processor, "cores": 2}}
        for seconds, key, date, processor in (
            (9.0, "talk-256", "2026-01-01", "a CPU"),
            (3.0, "dense", "2026-02-02", "B"),
        )
    )
    suite.write(results_of(old), path)
    suite.store({"works": [new]}, path)
    assert [work["key"] for work in json.loads(path.read_text())["works"]] == ["talk-256", "dense"]
    assert path.with_suffix(".md").read_text().count("Measured on") == 1
    assert "Measured on 2026-02-02 on B, 2 cores, in 1 round." in path.with_suffix(".md").read_text()
    suite.store({"works": [new | {"runs": {"peer": [run_of(2.0), run_of(2.0)]}}]}, path)
    assert len(json.loads(path.read_text())["works"]) == 2
    assert "in 2 rounds" in path.with_suffix(".md").read_text()


# --- bars


def test_a_bar_compares_medians():
    runs = {"peer": [run_of(9.0), run_of(20.0), run_of(40.0)], "ffnn, tf": [run_of(1.0), run_of(2.0), run_of(9.0)]}
    judged = BAR.judge(Results(runs))
    assert (judged["figure"], judged["met"]) == (10.0, True)
    at_most = Bar("S1", "of the floor", lambda results: results.median("peer", "fit"), 19.0, at_least=False)
    assert at_most.judge(Results(runs))["met"] is False


@pytest.mark.parametrize(
    ("peer", "reason"),
    [
        ([run_of(1.0), {"error": "over its limit of 1 s"}], "peer: over its limit of 1 s"),
        ([], "peer was not run"),
        ([run_of(1.0, note="extrapolated") | {"seconds": {}}], "peer: fit was not measured (extrapolated)"),
        (
            [run_of(1.0, checks=Measurement(checks=[Check("loss", 2.0, 1.0)]).as_json()["checks"])],
            "peer: its check failed (loss)",
        ),
    ],
)
def test_what_failed_or_is_wrong_meets_no_bar(peer, reason):
    judged = BAR.judge(Results({"peer": peer, "ffnn, tf": [run_of(0.01)]}))
    assert (judged["figure"], judged["met"], judged["reason"]) == (None, None, reason)
    with pytest.raises(NotMeasured):
        Results({"peer": peer}).median("peer", "fit")


# --- the page


def test_the_tables_show_what_was_stored():
    runs = {
        "ffnn, tf": [run_of(8.0), run_of(8.1), run_of(9.0)],
        "peer": [run_of(73.0, note="extrapolated from 3 of 240 steps")] * 3,
        "wrong": [run_of(1.0, checks=Measurement(checks=[Check("ROC AUC", 0.5, 0.8, True)]).as_json()["checks"])],
    }
    text = markdown(results_of(work_of(runs, [BAR])))
    assert "| S1 | a fit | as fast as a peer | ≥ 10 × | 9.01 × | **missed** |" in text
    assert "| ffnn, tf | 8.1 s (8 s to 9 s) | 1 | 100 MB |  |" in text
    assert "| peer | ≈ 73 s (73 s to 73 s) | 9.01 | 100 MB | extrapolated from 3 of 240 steps |" in text
    assert "| wrong | 1 s | 0.123 | 100 MB | **wrong: ROC AUC 0.5, the limit is 0.8** |" in text
    assert "a CPU, 2 cores, 8 GB" in text


def test_the_pages_tables_are_what_the_stored_figures_give():
    results = json.loads(page.stored().read_text())
    text = page.PAGE.read_text()
    assert page.filled(text, results) == text, "run `python -m benchmarks.suite --render`"
    for path in page.RESULTS.glob("speed*.json"):
        assert path.with_suffix(".md").read_text() == markdown(json.loads(path.read_text()))
    keys = [work["key"] for work in results["works"]]
    assert keys == [key for key in WORKS if key in keys], "the stored run is of other works: run `make bench`"
    for key in WORKS.keys() - set(keys):
        assert f"`{key}`" in text, "the page names the works that were left out of the stored run"


def test_a_page_without_its_markers_is_refused():
    with pytest.raises(ValueError, match="once each"):
        page.filled("no markers", results_of())


def test_the_picture_is_drawn_of_the_ratios(tmp_path):
    runs = {"ffnn, tf": [run_of(2.0)], "Keras": [run_of(5.0)], "skorch": [{"error": "no torch"}]}
    results = results_of(work_of(runs, []))
    assert page.ratios(results) == {"a fit": {"Keras": 2.5}}
    page.draw(results, tmp_path / "a.svg")
    page.draw(results, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_full_run_is_preferred_to_a_quick_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="make bench"):
        page.stored(tmp_path)
    for name in ("speed-quick.json", "speed.json"):
        (tmp_path / name).write_text("{}")
        assert page.stored(tmp_path).name == name
