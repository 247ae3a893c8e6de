"""One worker of a host cannot be started, and the others can."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ffnn.exceptions import HostError, HostWarning, WorkerStartError
from ffnn.parallel.hosts import breaker
from ffnn.parallel.hosts.local import LocalHost
from ffnn.parallel.slots.executor import SlotExecutor

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(autouse=True)
def short_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "_BACK_OFF", 0.01)


def slowly_told_pid() -> int:
    time.sleep(0.03)
    return os.getpid()


class Partly(LocalHost):
    """This machine, where the workers of some slots do not start.

    Parameters
    ----------
    script : str
        What a shell does instead; ``exec "$@"`` is to start the worker.
    slots : set of int
        The slots.
    n_workers : int
        The number of all slots.
    """

    def __init__(self, script: str, slots: set[int], n_workers: int = 2) -> None:
        super().__init__(n_workers)
        self.script, self.slots = script, slots

    def command(self, slot: int, start: str, facts: Any) -> Any:
        command = super().command(slot, start, facts)
        if slot not in self.slots:
            return command
        if not self.script:
            raise KeyError("no such GPU")
        return type(command)(["sh", "-c", self.script, "sh", *command.argv], command.environment, command.inherit)


@pytest.fixture
def executor(request: pytest.FixtureRequest) -> Iterator[SlotExecutor]:
    executor = SlotExecutor([Partly(*request.param)])
    yield executor
    executor.shutdown(cancel_futures=True)


# by an exit code; by a signal, which is tried several times; before it is even tried
@pytest.mark.parametrize(
    "executor",
    [("echo no such GPU >&2; exit 3", {1}), ("echo no such GPU >&2; kill -9 $$", {1}), ("", {1})],
    indirect=True,
    ids=["exit", "signal", "command"],
)
def test_the_tasks_are_done_by_the_other_worker(executor: SlotExecutor) -> None:
    with pytest.warns(HostWarning, match="(?s)no such GPU.*\nWorker localhost-1 is left out; the other") as caught:  # noqa: PT031
        futures = [executor.submit(time.sleep, 0.03) for _ in range(94)]
        for future in futures:
            future.result(60)
        assert executor.n_workers_left == 1
    assert len(caught) == 1, "it is said once"
    assert executor.n_left_out == executor.n_retries == 0
    start = time.monotonic()
    for _ in range(20):  # each by the one that can, without a delay by the one that cannot
        assert executor.submit(abs, -1).result(30) == 1
    assert time.monotonic() - start < 1.0


@pytest.mark.parametrize("executor", [("echo no such GPU >&2; exit 3", {0, 1, 2, 3}, 4)], indirect=True)
def test_when_none_can_be_started_the_host_is_left_out(executor: SlotExecutor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HostWarning)
        error = executor.submit(abs, -1).exception(60)  # one task, and yet all are tried
    assert isinstance(error, WorkerStartError | HostError)
    assert "no such GPU" in str(error)
    assert executor.n_left_out == 1
    assert executor.n_workers_left == 0


def test_a_worker_that_works_again_is_used_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(breaker, "_REST", 0.5)
    with SlotExecutor([Partly(f'test -e {tmp_path}/ready || exit 3; exec "$@"', {1})]) as executor:
        with pytest.warns(HostWarning):  # noqa: PT031
            for future in [executor.submit(time.sleep, 0.03) for _ in range(40)]:
                future.result(60)
        (tmp_path / "ready").touch()
        until = time.monotonic() + 30
        while len({future.result(60) for future in [executor.submit(slowly_told_pid) for _ in range(4)]}) < 2:
            assert time.monotonic() < until


def test_successes_do_not_excuse_a_host_that_is_left_out() -> None:
    known = breaker.Breaker()
    assert known.fail(HostError("disk full"), for_good=True) == (True, True)
    known.succeed()
    assert str(known.reason) == "disk full"
    again = breaker.Breaker()
    for _ in range(20):  # failures with successes between them are not failures in a row
        assert again.fail(HostError("lost"), for_good=False) == (False, False)
        again.succeed()
