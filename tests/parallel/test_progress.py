from __future__ import annotations

import concurrent.futures
from types import SimpleNamespace
from typing import Any

import pytest

from ffnn.executor import Future
from ffnn.parallel.progress import Progress

POOL = SimpleNamespace(n_workers=2, executor=SimpleNamespace(n_retries=1))


def futures(count: int) -> list[Future[Any]]:
    return [Future() for _ in range(count)]


def test_the_summary_counts_every_end() -> None:
    progress = Progress(False)
    done, failed, cancelled = three = futures(3)
    for future in three:
        progress.add(future, abs, POOL)
    done.seconds = 1000.0
    done.settle(1)
    failed.fail(ValueError())
    cancelled.cancel()
    summary = progress.summary(POOL)
    assert summary.startswith("3 tasks on 2 workers in 0.0 s: 1 done, 1 failed, 1 retried, 1 cancelled; 1000.0 s")
    assert summary.endswith("times as fast as in sequence")


def test_an_idle_pool_has_a_summary() -> None:
    assert Progress(False).summary(POOL) == "0 tasks on 2 workers in 0.0 s: 0 done, 1 retried"


def test_a_bar_and_the_summary_are_shown_if_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(True)
    for future in futures(2):
        progress.add(future, abs, POOL)
        future.fail(ValueError())
    progress.close(POOL)
    progress.close(POOL)
    err = capsys.readouterr().err
    assert "2/2" in err
    assert "2 failed" in err
    assert err.count("2 tasks on 2 workers") == 1


def test_nothing_is_shown_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    for show in (None, False):  # under pytest, standard error is no terminal
        progress = Progress(show)
        progress.add(futures(1)[0], abs, POOL)
        progress.close(POOL)
    assert capsys.readouterr().err == ""


def test_the_total_of_a_search_is_foretold() -> None:
    batch = SimpleNamespace(items=[(abs, (), {"candidate_progress": (0, 6), "split_progress": (0, 5)})])
    progress = Progress(False)
    for future in futures(31):
        progress.add(future, batch, POOL)
        assert progress._expected == (30 if progress._submitted <= 30 else 60)


def test_a_stand_in_is_not_counted() -> None:
    progress = Progress(False)
    progress.add(concurrent.futures.Future(), SimpleNamespace(stands_in=True), POOL)
    assert progress.summary(POOL).startswith("0 tasks")


def test_the_summary_names_hosts_and_bytes() -> None:
    executor = SimpleNamespace(n_retries=0, n_hosts=2, bytes_sent=45_830_000)
    pool = SimpleNamespace(n_workers=4, executor=executor)
    assert Progress(False).summary(pool) == "0 tasks on 4 workers of 2 hosts in 0.0 s: 0 done; 45.8 MB sent"
    executor.n_left_out = 1
    assert "of 2 hosts (1 left out) in" in Progress(False).summary(pool)


def test_a_dashboard_is_shown_before_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    pool = SimpleNamespace(n_workers=1, executor=SimpleNamespace(dashboard_link="http://127.0.0.1:8787/status"))
    Progress(True).add(Future(), abs, pool)
    assert capsys.readouterr().err.startswith("dashboard: http://127.0.0.1:8787/status\n")
