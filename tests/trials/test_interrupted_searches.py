"""Searches whose client is killed, or whose journal's disk is full, or that share a journal."""

from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier

import ffnn
from ffnn.exceptions import JournalWarning
from ffnn.parallel.journal.store import JournalFolder
from tests.support.agents import wait_until_gone
from tests.support.disks import small_disk_at

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

SEARCH = """
import os, sys, tempfile, time
import numpy as np
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier
import ffnn

class Slow(DecisionTreeClassifier):
    def fit(self, X, y):
        os.close(tempfile.mkstemp(dir="fits")[0])
        time.sleep(0.1)
        return super().fit(X, y)

first, last = map(int, sys.argv[1:3])
search = GridSearchCV(Slow(random_state=0), {"max_depth": list(range(first, last))}, cv=4, refit=False)
with ffnn.pool(n_workers=2, journal="run", progress=False):
    search.fit(*load_iris(return_X_y=True))
np.savez(f"scores{first}.npz", **{k: v for k, v in search.cv_results_.items() if k.startswith(("split", "rank"))})
"""


def start(folder: Path, first: int, last: int) -> subprocess.Popen[str]:
    (folder / "fits").mkdir(exist_ok=True)
    (folder / "search.py").write_text(SEARCH)
    command = [sys.executable, "search.py", str(first), str(last)]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)


def recorded(folder: Path) -> Counter[str]:
    if not (folder / "run").is_dir():
        return Counter()
    metas = (record.meta for _, record in JournalFolder(folder / "run").new_records())
    return Counter(meta["key"] for meta in metas if meta["kind"] == "result")


def assert_scores(folder: Path, first: int, last: int) -> None:
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": list(range(first, last))}, cv=4)
    expected = search.fit(*load_iris(return_X_y=True)).cv_results_
    with np.load(folder / f"scores{first}.npz") as found:
        assert len(found.files) == 5
        for name in found.files:
            np.testing.assert_array_equal(found[name], expected[name])


def test_a_client_that_is_killed_at_any_moment_loses_the_running_tasks_alone(tmp_path):
    chance, n_kills = random.Random(0), 0
    while n_kills < 6:
        before = len(recorded(tmp_path))
        with start(tmp_path, 1, 13) as client:
            target = before + chance.randrange(3, 7)
            while client.poll() is None and len(recorded(tmp_path)) < min(target, 44):
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.1))
            assert client.poll() is None, client.stderr and client.stderr.read()
            workers = psutil.Process(client.pid).children(recursive=True)
            client.kill()
            n_kills += 1
        wait_until_gone(*(worker.pid for worker in workers))  # fault 12
    with start(tmp_path, 1, 13) as client:
        _, errors = client.communicate()
    assert (client.returncode, errors) == (0, "")
    assert_scores(tmp_path, 1, 13)
    counts = recorded(tmp_path)
    assert len(counts) == 48
    assert set(counts.values()) == {1}
    n_fits = len(os.listdir(tmp_path / "fits"))
    assert 48 <= n_fits <= 48 + 2 * n_kills  # the two that run, each time


def test_two_searches_share_a_journal(tmp_path):
    with start(tmp_path, 1, 9) as one, start(tmp_path, 5, 13) as other:
        errors = [process.communicate()[1] for process in (one, other)]
    assert errors == ["", ""]
    assert_scores(tmp_path, 1, 9)
    assert_scores(tmp_path, 5, 13)
    counts = recorded(tmp_path)
    assert len(counts) == 48
    assert set(counts.values()) == {1}


def test_a_file_that_is_torn_and_one_that_is_flipped_cost_their_tasks_alone(tmp_path):
    with start(tmp_path, 1, 13) as client:
        assert client.communicate()[1] == ""
    (file,) = (tmp_path / "run").glob("*.journal")
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 16
    file.write_bytes(data[:-10])
    with start(tmp_path, 1, 13) as client:
        assert client.communicate()[1] == ""
    assert_scores(tmp_path, 1, 13)
    assert len(os.listdir(tmp_path / "fits")) == 48 + 2


@pytest.fixture
def small_disk(tmp_path):
    with small_disk_at(tmp_path / "disk", "100k") as folder:
        yield folder


def test_a_disk_that_fills_up_stops_the_recording_and_not_the_search(small_disk):
    X, y = load_iris(return_X_y=True)
    search = GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": list(range(1, 11))}, cv=4, refit=False)

    def fit():
        with ffnn.pool(n_workers=1, journal=small_disk / "run", progress=False) as pool:
            (small_disk / "other").touch()
            with contextlib.suppress(OSError), (small_disk / "other").open("wb") as file:
                file.write(b"x" * (1 << 20))
            search.fit(X, y)
        return pool.summary()

    with pytest.warns(JournalWarning, match="results are not recorded \\(No space left on device\\)") as caught:
        fit()
    assert len([w for w in caught if w.category is JournalWarning]) == 1
    expected = GridSearchCV(search.estimator, search.param_grid, cv=4, refit=False).fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])
    folder = JournalFolder(small_disk / "run")
    n_recorded = sum(record.meta["kind"] == "result" for _, record in folder.new_records())
    assert n_recorded < 40
    assert folder.n_damaged == 0
    (small_disk / "other").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ffnn.pool(n_workers=1, journal=small_disk / "run", progress=False) as pool:
            search.fit(X, y)
    assert re.match(rf"{40 - n_recorded} tasks", pool.summary())
