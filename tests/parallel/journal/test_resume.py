"""What is computed again when a search runs a second time with the same journal, and what is not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from scipy.stats import randint
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_validate,
)
from sklearn.tree import DecisionTreeClassifier

import ffnn
from ffnn.exceptions import JournalError, JournalWarning, WorkerDiedError
from ffnn.parallel.journal.store import JournalFolder

pytestmark = [pytest.mark.timeout(110)]

X, y = load_iris(return_X_y=True)
DEPTHS = {"max_depth": [1, 2, 3, 4]}


def pool(journal, executor="threads", n_workers=2, **options):
    """Make a pool with a journal; on threads, unless the test is about what crosses to processes or kills them."""
    return ffnn.pool(executor, n_workers=n_workers, progress=False, journal=journal, **options)


def recorded(folder: Path) -> list[dict]:
    return [record.meta for _, record in JournalFolder(folder).new_records() if record.meta["kind"] == "result"]


def counted():
    """Make a class whose fits leave a file each; it travels by value."""

    class Counted(DecisionTreeClassifier):
        marks = ""

        def fit(self, X, y, check_input=True):  # whose request scikit-learn 1.7 removes by name
            import os
            import tempfile

            os.close(tempfile.mkstemp(dir=self.marks)[0])
            return super().fit(X, y)

    Counted.__module__ = "__main__"
    Counted.__qualname__ = "Counted"
    return Counted


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "marks").mkdir()
    made = counted()
    made.marks = str(tmp_path / "marks")
    return made


@pytest.fixture
def n_fits(tmp_path):
    """Return the number of fits since the last time."""
    seen = [0]

    def count() -> int:
        now = len(os.listdir(tmp_path / "marks"))
        seen[0], new = now, now - seen[0]
        return new

    return count


def assert_equal_results(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        if "time" not in name:
            np.testing.assert_array_equal(found[name], values, err_msg=name)


SEARCHES = {
    "grid": (GridSearchCV, {"param_grid": DEPTHS, "cv": 3, "return_train_score": True}, 12 + 1),
    "random": (
        RandomizedSearchCV,
        {"param_distributions": {"max_depth": randint(1, 9)}, "n_iter": 4, "cv": 3, "random_state": 0},
        12 + 1,
    ),
    "halving": (HalvingGridSearchCV, {"param_grid": DEPTHS, "cv": 3, "random_state": 0, "factor": 2}, None),
    "several scores": (
        GridSearchCV,
        {"param_grid": DEPTHS, "cv": 3, "scoring": ["accuracy", "f1_macro"], "refit": "accuracy"},
        12 + 1,
    ),
}


@pytest.mark.parametrize(("kind", "options", "n"), SEARCHES.values(), ids=SEARCHES)
def test_a_search_that_runs_again_computes_nothing_but_its_refit(tree, tmp_path, n_fits, kind, options, n):
    expected = kind(tree(random_state=0), **options).fit(X, y)
    done = n_fits()
    assert n in (None, done)
    for again in (done, 1):
        search = kind(tree(random_state=0), **options)
        with pool(tmp_path / "run", "multiprocessing" if kind is RandomizedSearchCV else "threads") as p:
            search.fit(X, y)
        assert n_fits() == again
        assert_equal_results(search.cv_results_, expected.cv_results_)
        assert len(recorded(tmp_path / "run")) == done - 1
    assert f"{done - 1} more from the journal" in p.summary()


def test_the_recorded_times_are_given_back(tree, tmp_path):
    times = []
    for _ in range(2):
        with pool(tmp_path / "run"):
            times.append(cross_validate(tree(random_state=0), X, y, cv=4))
    for name in ("fit_time", "score_time", "test_score"):
        np.testing.assert_array_equal(times[0][name], times[1][name])


def test_a_larger_grid_computes_what_is_new(tree, tmp_path, n_fits):
    with pool(tmp_path / "run"):
        GridSearchCV(tree(random_state=0), {"max_depth": [1, 2]}, cv=3, refit=False).fit(X, y)
        assert n_fits() == 6
        GridSearchCV(tree(random_state=0), {"max_depth": [1, 5, 2, 3]}, cv=3, refit=False).fit(X, y)
    assert n_fits() == 6


def test_fitted_estimators_are_given_back(tree, tmp_path, n_fits):
    found = []
    for _ in range(2):
        with pool(tmp_path / "run"):
            found.append(cross_validate(tree(random_state=0), X, y, cv=3, return_estimator=True))
    assert n_fits() == 3
    for one, other in zip(found[0]["estimator"], found[1]["estimator"], strict=True):
        np.testing.assert_array_equal(one.predict(X), other.predict(X))


def test_changed_data_is_computed_again(tree, tmp_path, n_fits):
    data = np.tile(X, (200, 1))  # 960 kB, large enough for a kept digest
    targets = np.tile(y, 200)
    with pool(tmp_path / "run"):
        for expected in (2, 2, 0):
            cross_validate(tree(random_state=0), data, targets, cv=2)
            assert n_fits() == expected
            data[50_000 % len(data), 1] = -1.0


def test_unseeded_estimators_are_computed_again_unless_asked(tree, tmp_path, n_fits):
    for journal, expected in [
        (tmp_path / "run", 2),
        (tmp_path / "run", 2),
        (ffnn.Journal(tmp_path / "other", reuse_unseeded=True), 2),
        (ffnn.Journal(tmp_path / "other", reuse_unseeded=True), 0),
    ]:
        with pool(journal), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            cross_validate(tree(), X, y, cv=2)
        assert n_fits() == expected
        texts = [str(w.message) for w in caught if w.category is JournalWarning]
        assert len(texts) == (journal == tmp_path / "run")
        assert all("Counted has random_state=None" in text for text in texts)
    assert [one["reusable"] for one in recorded(tmp_path / "run")] == [False] * 4


def test_what_cannot_be_hashed_is_run_and_named_once(tmp_path):
    def length(things):
        return len(things)

    class NoContent:
        def __reduce__(self):
            return (NoContent, ())

        def __reduce_ex__(self, protocol):
            import sys

            if sys._getframe(1).f_code.co_name == "_reduced":
                raise TypeError("no content")
            return (dict, ())

    with pool(tmp_path / "run", "multiprocessing"), pytest.warns(JournalWarning) as caught:
        found = joblib.Parallel()(joblib.delayed(length)(things) for things in [NoContent(), [1], NoContent()])
    assert found == [0, 1, 0]
    (text,) = {str(w.message) for w in caught}
    assert len(caught) == 1
    assert "NoContent" in text
    assert [one["reusable"] for one in recorded(tmp_path / "run")].count(True) == 1


def test_failed_fits_are_shown_and_computed_again(tmp_path, n_fits):
    (tmp_path / "marks").mkdir()
    for fails, expected in [(True, 8), (False, 2), (False, 0)]:
        flag = tmp_path / "spoilt"
        flag.touch() if fails else flag.unlink(missing_ok=True)
        kind = _failing(str(tmp_path / "marks"), str(flag))
        search = GridSearchCV(kind(random_state=0), DEPTHS, cv=2, refit=False)
        with pool(tmp_path / "run"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search.fit(X, y)
        assert n_fits() == expected
        assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, fails, False, False]
    failed = [one for one in recorded(tmp_path / "run") if one["failed"]]
    assert [one["error"] for one in failed] == ["RuntimeError: spoilt"] * 2


def _failing(marks, flag):
    """Make a class whose fits of depth 2 fail as long as a file exists."""

    class Failing(DecisionTreeClassifier):
        def fit(self, X, y, check_input=True):  # whose request scikit-learn 1.7 removes by name
            import os
            import tempfile

            os.close(tempfile.mkstemp(dir=marks)[0])
            if self.max_depth == 2 and os.path.exists(flag):
                raise RuntimeError("spoilt")
            return super().fit(X, y)

    return Failing


@pytest.mark.slow
def test_a_candidate_that_kills_its_worker_is_shown_and_computed_again(tmp_path):
    flag = tmp_path / "deadly"
    flag.touch()

    class Deadly(DecisionTreeClassifier):
        path = str(flag)

        def fit(self, X, y, check_input=True):  # whose request scikit-learn 1.7 removes by name
            import os
            import signal

            if self.max_depth == 2 and os.path.exists(self.path):
                os.kill(os.getpid(), signal.SIGKILL)
            return super().fit(X, y)

    search = GridSearchCV(Deadly(random_state=0), DEPTHS, cv=2, refit=False)
    with pool(tmp_path / "run", "multiprocessing", max_retries=0), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, y)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True, False, False]
    failed = [one for one in recorded(tmp_path / "run") if one["failed"]]
    assert len(failed) == 2
    assert failed[0]["error"].startswith("ffnn.exceptions.WorkerDiedError: a worker was killed by SIGKILL")
    flag.unlink()
    with pool(tmp_path / "run") as p:
        search.fit(X, y)
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()
    assert "2 done, 6 more from the journal" in p.summary()


def test_a_lost_worker_is_no_result(tmp_path):
    flag = tmp_path / "deadly"
    flag.touch()

    def deadly(i, flag):
        import os
        import signal

        if i == 2 and os.path.exists(flag):
            os.kill(os.getpid(), signal.SIGKILL)
        return i

    calls = [joblib.delayed(deadly)(i, str(flag)) for i in range(4)]
    with pytest.raises(WorkerDiedError), pool(tmp_path / "run", "multiprocessing", max_retries=0, n_workers=1):
        joblib.Parallel()(calls)
    flag.unlink()
    with pool(tmp_path / "run"):
        assert joblib.Parallel()(calls) == [0, 1, 2, 3]
    failed = [one for one in recorded(tmp_path / "run") if one["failed"]]
    assert len(failed) == 1
    assert failed[0]["error"].startswith("WorkerDiedError: ")


def count(i, marks):
    import os
    import tempfile

    os.close(tempfile.mkstemp(dir=marks)[0])
    return i * i


count.__module__ = "__main__"  # so that it travels: workers cannot import this module


@pytest.mark.parametrize("batch_size", [1, 4])
def test_plain_calls_resume_also_in_mixed_batches(tmp_path, n_fits, batch_size):
    (tmp_path / "marks").mkdir()
    marks = str(tmp_path / "marks")
    with pool(tmp_path / "run"):
        for numbers, expected in [(range(0, 20, 3), 7), (range(20), 13), (range(20), 0)]:
            calls = (joblib.delayed(count)(i, marks) for i in numbers)
            assert joblib.Parallel(batch_size=batch_size)(calls) == [i * i for i in numbers]
            assert n_fits() == expected


def test_thousands_of_recorded_calls_do_not_nest(tmp_path, n_fits):
    (tmp_path / "marks").mkdir()
    calls = [joblib.delayed(count)(i, str(tmp_path / "marks")) for i in range(1500)]
    with pool(tmp_path / "run"):
        for expected in (1500, 0):
            assert joblib.Parallel()(calls) == [i * i for i in range(1500)]
            assert n_fits() == expected


def test_generators_resume(tmp_path, n_fits):
    (tmp_path / "marks").mkdir()
    calls = [joblib.delayed(count)(i, str(tmp_path / "marks")) for i in range(9)]
    with pool(tmp_path / "run"):
        for expected in (9, 0):
            assert list(joblib.Parallel(return_as="generator")(calls)) == [i * i for i in range(9)]
            assert sorted(joblib.Parallel(return_as="generator_unordered")(calls)) == [i * i for i in range(9)]
            assert n_fits() == expected


def test_joblibs_own_configuration_takes_a_journal(tmp_path, n_fits):
    (tmp_path / "marks").mkdir()
    calls = [joblib.delayed(count)(i, str(tmp_path / "marks")) for i in range(3)]
    for expected in (3, 0):
        with joblib.parallel_config("ffnn", n_workers=1, journal=str(tmp_path / "run")):
            assert joblib.Parallel()(calls) == [0, 1, 4]
        assert n_fits() == expected
    joblib.register_parallel_backend("journalled", ffnn.make_backend_factory(n_workers=1, journal=tmp_path / "run"))
    with joblib.parallel_config("journalled"):
        assert joblib.Parallel()(calls) == [0, 1, 4]
    assert n_fits() == 0


def test_the_clock_does_not_matter(tree, tmp_path, n_fits, monkeypatch):
    for now, expected in [(2_000_000_000.0, 2), (1_000_000_000.0, 0), (3_000_000_000.0, 0)]:
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda now=now: now)
            with pool(tmp_path / "run"):
                cross_validate(tree(random_state=0), X, y, cv=2)
        assert n_fits() == expected


def test_a_damaged_result_alone_is_computed_again(tree, tmp_path, n_fits):
    def fit():
        with pool(tmp_path / "run"):
            return GridSearchCV(tree(random_state=0), DEPTHS, cv=3, refit=False).fit(X, y).cv_results_

    first = fit()
    assert n_fits() == 12
    (file,) = (tmp_path / "run").glob("*.journal")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)
    again = fit()
    assert n_fits() == 1
    assert_equal_results(again, first)
    fit()
    assert n_fits() == 0


@pytest.mark.slow
def test_an_edited_module_is_computed_again(tmp_path, n_fits, monkeypatch):
    (tmp_path / "marks").mkdir()
    code = "import os, tempfile\ndef f(i, marks):\n    os.close(tempfile.mkstemp(dir=marks)[0])\n    return i + ADD\n"
    script = "import joblib, ffnn, edited\nwith ffnn.pool(n_workers=1, journal='run', progress=False):\n"
    script += "    print(joblib.Parallel()(joblib.delayed(edited.f)(i, 'marks') for i in range(3)))"
    for text, found, expected in [
        ("ADD = 1", "[1, 2, 3]", 3),
        ("ADD = 1  # as before", "[1, 2, 3]", 0),
        ("ADD = 2", "[2, 3, 4]", 3),
        ("ADD = 1", "[1, 2, 3]", 0),
    ]:
        (tmp_path / "edited.py").write_text(f"{code}{text}\n")
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == found
        assert n_fits() == expected


def test_a_module_that_is_edited_while_the_search_runs_is_not_trusted(tmp_path, monkeypatch):
    (tmp_path / "edited.py").write_text("def f(i):\n    return i\n")
    monkeypatch.syspath_prepend(tmp_path)
    import edited  # type: ignore[import-not-found]  # made here

    def called(i, path):
        if i == 1:
            with open(path, "a") as file:
                file.write("MORE = 1\n")
        return edited.f(i)

    called.__module__ = "__main__"
    calls = [joblib.delayed(called)(i, str(tmp_path / "edited.py")) for i in range(3)]
    with pool(tmp_path / "run", "multiprocessing", n_workers=1) as p:
        p.submit(lambda path: __import__("sys").path.insert(0, path), str(tmp_path)).result()
        with pytest.warns(JournalWarning, match=r"edited\.py was changed"):
            joblib.Parallel()(calls)
    assert [one["reusable"] for one in recorded(tmp_path / "run")] == [True, False, False]


@pytest.mark.parametrize(
    ("journal", "error", "match"),
    [
        (3, TypeError, "path of a folder or an ffnn.Journal; got 3"),
        (True, TypeError, "got True"),
        ("{}/file", JournalError, "is a file"),
        ("{}", JournalError, r"other files \(file\)"),
    ],
)
def test_what_is_no_journal_is_refused_before_anything_runs(tmp_path, journal, error, match):
    (tmp_path / "file").touch()
    journal = journal.format(tmp_path) if isinstance(journal, str) else journal
    with pytest.raises(error, match=match):
        pool(journal)
    with pytest.raises(error, match=match), joblib.parallel_config("ffnn", n_workers=1, journal=journal):
        pass
    with pytest.raises(TypeError, match="reuse_unseeded"):
        ffnn.Journal(tmp_path, reuse_unseeded="yes")
