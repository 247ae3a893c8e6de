"""The live view of a search: what runs where, how far it is, and the best candidate so far."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import ffnn
from ffnn.parallel.live.fits import LiveFits
from ffnn.parallel.live.progress import LiveProgress
from ffnn.parallel.tasks.events import send_event
from ffnn_plugins.executors.threads import ThreadsExecutor

pytestmark = pytest.mark.timeout(110)

PAGE = Path(__file__).parents[3] / "docs/watch.md"
(SEARCH,) = re.findall(r"```python[^\n]*\n(.*?)```", PAGE.read_text(), re.DOTALL)


def call(candidate: int, fold: int, **parameters: Any) -> Any:
    """Return a batch as joblib has it, of a fit of scikit-learn's searches."""
    progress = {"candidate_progress": (candidate, 2), "split_progress": (fold, 2)}
    return SimpleNamespace(items=[(print, (), {"parameters": parameters, **progress})])


class Fits:
    """Tasks that run until they are told how they end."""

    def __init__(self) -> None:
        self.ends: dict[Any, tuple[threading.Event, list[Any]]] = {}

    def run(self, key: Any, epoch: int) -> Any:
        send_event("epoch", (epoch, 10, {"loss": 0.25, "validation_loss": 0.5}))
        told, result = self.ends[key]
        told.wait(60)
        return [{"test_scores": result[0]}]

    def submit(self, executor: Any, live: Any, candidate: int, fold: int, epoch: int) -> Any:
        self.ends[candidate, fold] = threading.Event(), []
        future = executor.submit(self.run, (candidate, fold), epoch)
        live.add(future, call(candidate, fold, mlp__learning_rate=10.0**-candidate, name="<b>"))
        return future

    def end(self, candidate: int, fold: int, score: Any, future: Any) -> None:
        told, result = self.ends[candidate, fold]
        result.append(score)
        told.set()
        future.result(60)


def wait_for(condition: Any) -> None:
    waiting = threading.Event()
    for _ in range(3000):
        if condition():
            return
        waiting.wait(0.02)
    raise AssertionError("the condition did not become true")


def test_running_fits_and_the_best_candidate_are_known() -> None:
    fits, live = Fits(), LiveFits()
    with ThreadsExecutor(2) as executor:
        assert live.best() is None
        assert live.seconds_left(0, 4) is None
        first = fits.submit(executor, live, 0, 0, 2)
        second = fits.submit(executor, live, 1, 0, 6)
        queued = fits.submit(executor, live, 0, 1, 1)
        wait_for(lambda: [fit.epoch for fit in live.running()] == [6, 2])  # by name
        assert [(fit.name, fit.fold, fit.n_epochs, fit.loss, fit.validation) for fit in live.running()] == [
            ("learning_rate=0.1, name=<b>", 0, 10, 0.25, 0.5),
            ("learning_rate=1, name=<b>", 0, 10, 0.25, 0.5),
        ]
        left = live.seconds_left(0, 4)  # 0.8 of a fit are done, 3.2 are not
        assert left is not None
        assert left == pytest.approx(4 * live.seconds, rel=0.2)
        fits.end(0, 0, 0.5, first)
        fits.end(1, 0, 0.75, second)
        wait_for(lambda: (best := live.best()) is not None and best.score == 0.75)
        best = live.best()
        assert best is not None
        assert (best.name, best.n_scores, best.n_folds) == ("learning_rate=0.1, name=<b>", 1, 2)
        fits.end(0, 1, {"accuracy": 0.25}, queued)
        wait_for(lambda: (best := live.best()) is not None and best.n_scores == 2)  # both folds count more than one
        best = live.best()
        assert best is not None
        assert best.score == 0.375
        assert live.running() == []


@pytest.mark.parametrize("outcome", [float("nan"), "text", None])
def test_what_is_no_score_is_left_out(outcome: Any) -> None:
    fits, live = Fits(), LiveFits()
    with ThreadsExecutor(1) as executor:
        fits.end(0, 0, outcome, fits.submit(executor, live, 0, 0, 1))
        wait_for(lambda: not live.running())
    assert live.best() is None


def test_other_calls_are_followed_by_name() -> None:
    live, told = LiveFits(), threading.Event()
    with ThreadsExecutor(1) as executor:
        live.add(executor.submit(told.wait, 60), threading.Event.wait)
        wait_for(lambda: [fit.name for fit in live.running()] == ["Event.wait"])
        told.set()


def test_html_shows_names_as_text() -> None:
    fits = Fits()
    with ThreadsExecutor(1) as executor:
        live = LiveProgress(executor)
        future = fits.submit(executor, live, 0, 0, 2)
        wait_for(lambda: "2/10" in live.as_html())
        assert "<td>learning_rate=1, name=&lt;b&gt;</td><td>0</td><td>2/10</td><td>0.25</td>" in live.as_html()
        fits.end(0, 0, 0.5, future)
        wait_for(lambda: "<p>best so far: 0.5000 (1 of 2 folds)  learning_rate=1, name=&lt;b&gt;</p>" in live.as_html())
        live.close()


def script(folder: Path, executor: str) -> Path:
    """Write the script of the page, for an executor."""
    path = folder / "watch.py"
    path.write_text(SEARCH.replace('"multiprocessing"', repr(executor)).replace("n_epochs=150", "n_epochs=800"))
    return path


def in_terminal(path: Path, columns: int = 120) -> str:
    """Return what a script writes to a terminal."""
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "LINES": "30", "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, path], stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 1 << 16):
            shown += piece
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(master)
    assert process.wait(60) == 0, shown.decode()
    return shown.decode()


@pytest.mark.parametrize("executor", ["threads", pytest.param("multiprocessing", marks=pytest.mark.slow)])
def test_a_terminal_shows_the_search(tmp_path: Path, executor: str) -> None:
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", in_terminal(script(tmp_path, executor)))
    assert re.search(r"\d of 8 done, 2 running, 0:\d\d", shown)
    assert re.search(r"about 0:\d\d left", shown)
    assert re.search(r"best so far: 0\.\d{4}", shown)
    assert re.search(r"activation=relu, learning_rate=0.0\d+ +[01] +\d+/800 +[\d.]+", shown)
    assert "8 tasks on 2 workers" in shown.splitlines()[-1]


def test_a_log_gets_the_summary_alone(tmp_path: Path) -> None:
    with open(tmp_path / "log", "w") as log:
        subprocess.run([sys.executable, script(tmp_path, "threads")], stderr=log, check=True, timeout=100)
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.startswith("8 tasks on 2 workers")


def test_what_is_no_view_is_refused() -> None:
    with pytest.raises(TypeError, match="progress must be True, False, None or 'live'; got 'life'"):
        ffnn.pool("threads", progress="life")  # type: ignore[arg-type]  # what is tested
