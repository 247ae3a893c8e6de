from __future__ import annotations

import concurrent.futures
import io
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import ffnn
from ffnn.exceptions import TaskTimeoutError, WorkerDiedError
from ffnn.executor import BaseExecutor, Future
from ffnn.parallel.progress import Progress


class Counted(ThreadPoolExecutor, BaseExecutor):
    n_workers = 2
    n_workers_left = 2
    n_hosts, n_left_out, n_retries, bytes_sent = 1, 0, 1, 0
    dashboard_link = None


EXECUTOR = Counted(1)


def futures(count: int) -> list[Future[Any]]:
    return [Future() for _ in range(count)]


def test_the_summary_counts_every_end() -> None:
    progress = Progress(False, EXECUTOR)
    done, failed, cancelled = three = futures(3)
    for future in three:
        progress.add(future, abs)
    done.seconds = 1000.0
    done.settle(1)
    failed.fail(ValueError())
    cancelled.cancel()
    summary = progress.summary()
    assert summary.startswith("3 tasks on 2 workers in 0.0 s: 1 done, 1 failed, 1 retried, 1 cancelled; 1000.0 s")
    assert summary.endswith("times as fast as in sequence")


def test_an_idle_pool_has_a_summary() -> None:
    assert Progress(False, EXECUTOR).summary() == "0 tasks on 2 workers in 0.0 s: 0 done, 1 retried"


def test_a_bar_and_the_summary_are_shown_if_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(True, EXECUTOR)
    for future in futures(2):
        progress.add(future, abs)
        future.fail(ValueError())
    progress.close()
    progress.close()
    err = capsys.readouterr().err
    assert "2/2" in err
    assert "2 failed" in err
    assert err.count("2 tasks on 2 workers") == 1


def test_nothing_is_shown_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    for show in (None, False):  # under pytest, standard error is no terminal
        progress = Progress(show, EXECUTOR)
        progress.add(futures(1)[0], abs)
        progress.close()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("n_tasks", "total"), [(1, 30), (30, 30), (31, 60)])
def test_the_total_of_a_search_is_foretold(n_tasks: int, total: int, capsys: pytest.CaptureFixture[str]) -> None:
    batch = SimpleNamespace(items=[(abs, (), {"candidate_progress": (0, 6), "split_progress": (0, 5)})])
    progress = Progress(True, EXECUTOR)
    for future in futures(n_tasks):
        progress.add(future, batch)
    progress.close()
    assert f" 0/{total} " in capsys.readouterr().err.splitlines()[-2]


def test_a_stand_in_is_not_counted() -> None:
    progress = Progress(False, EXECUTOR)
    progress.add(concurrent.futures.Future(), SimpleNamespace(is_rerun=True))
    assert progress.summary().startswith("0 tasks")


def test_the_summary_names_hosts_and_bytes() -> None:
    executor = Counted(1)
    executor.n_workers = executor.n_workers_left = 4
    executor.n_retries, executor.n_hosts, executor.bytes_sent = 0, 2, 45_830_000
    assert Progress(False, executor).summary() == "0 tasks on 4 workers of 2 hosts in 0.0 s: 0 done; 45.8 MB sent"
    executor.n_left_out, executor.n_workers_left = 1, 2
    assert Progress(False, executor).summary().startswith("0 tasks on 2 of 4 workers (1 of 2 hosts left out) in")
    executor.n_left_out, executor.n_workers_left = 0, 3
    assert Progress(False, executor).summary().startswith("0 tasks on 3 of 4 workers of 2 hosts in")
    executor.n_hosts, executor.n_workers_left = 1, 4
    assert Progress(False, executor).summary().startswith("0 tasks on 4 workers in")


def test_work_is_what_tasks_took_that_ended_by_themselves() -> None:
    progress = Progress(False, EXECUTOR)
    ends = [(1.0, None), (2.0, ValueError()), (300.0, WorkerDiedError("it died")), (40.0, TaskTimeoutError())]
    for seconds, error in ends:
        future: Future[Any] = Future()
        progress.add(future, abs)
        future.seconds = seconds
        future.fail(error) if error else future.settle(None)
    assert "; 3.0 s of work, " in progress.summary()


def test_a_worker_that_is_started_again_does_no_work_by_that(tmp_path: Path) -> None:
    (tmp_path / "slow_to_import.py").write_text("import time; time.sleep(0.7)")

    def work(poison: bool) -> None:
        sys.path.insert(0, str(tmp_path))
        import slow_to_import  # type: ignore[import-not-found]  # noqa: F401

        time.sleep(0.2)
        if poison:
            os._exit(3)

    with ffnn.pool(n_workers=1, max_retries=1) as pool:
        futures = [pool.submit(work, poison) for poison in (False, True, False)]
        assert [type(future.exception(60)) for future in futures] == [type(None), WorkerDiedError, type(None)]
        work_done = float(pool.summary().partition("sent; ")[2].partition(" s of work")[0])
        assert 0.4 <= work_done < 1.1, "with the imports it is 1.8 s"


class Raising(io.StringIO):
    def write(self, text: str) -> int:
        raise RuntimeError("this stream is out of order")


@pytest.mark.parametrize("stream", [None, Raising()])
def test_a_bar_that_cannot_be_drawn_ends_nothing(stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    with ffnn.pool(n_workers=1, progress=True) as pool:
        assert [pool.submit(abs, -i).result(60) for i in range(3)] == [0, 1, 2]
    assert pool.summary().startswith("3 tasks on 1 worker in")


def test_a_dashboard_is_shown_before_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    executor = Counted(1)
    executor.dashboard_link = "http://127.0.0.1:8787/status"
    Progress(True, executor).add(Future(), abs)
    assert capsys.readouterr().err.startswith("dashboard: http://127.0.0.1:8787/status\n")
