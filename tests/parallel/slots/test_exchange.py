"""What hosts compute for each other: each value once, whoever dies or takes too long. Over SSH: tests/trials."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin

import ffnn
from ffnn.executor import Task
from ffnn.parallel.hosts.local import LocalHost
from ffnn.parallel.slots.exchange import Exchange
from ffnn.parallel.slots.executor import SlotExecutor
from ffnn.parallel.tasks import exchange
from ffnn.parallel.tasks.task import open_outcome, pack
from ffnn.parallel.tasks.wire import Kind, Message, PipeChannel
from tests.support.counting import counted, counting, search, texts
from tests.support.faults import once

pytestmark = pytest.mark.timeout(120)

MAKE, MAKE_AND_TELL = [b"x", b"0"], [b"x", b"1"]


# --- who is told what


class Asker:
    """A worker that asks for x, and the answers."""

    def __init__(self, exchange: Exchange) -> None:
        self.answers: list[Any] = []
        exchange.ask("x", self, self.answers.append)


def test_a_host_alone_computes_all_and_tells_nothing() -> None:
    exchange = Exchange(1)
    assert [Asker(exchange).answers for _ in range(2)] == [[MAKE], [MAKE]]


def test_the_first_computes_and_all_others_get_it() -> None:
    exchange = Exchange(2)
    first, second = Asker(exchange), Asker(exchange)
    assert (first.answers, second.answers) == ([MAKE_AND_TELL], [])
    exchange.tell("x", b"data")
    assert second.answers == [[*MAKE, b"data"]]
    assert Asker(exchange).answers == [[*MAKE, b"data"]]
    assert first.answers == [MAKE_AND_TELL]


def test_if_it_leaves_the_next_computes() -> None:
    exchange = Exchange(2)
    first, second, third = (Asker(exchange) for _ in range(3))
    exchange.leave(second)
    exchange.leave(first)
    assert (second.answers, third.answers) == ([], [MAKE_AND_TELL])
    exchange.leave(third)
    assert Asker(exchange).answers == [MAKE_AND_TELL]


def test_what_is_not_sent_is_computed_by_all() -> None:
    exchange = Exchange(2)
    askers = [Asker(exchange) for _ in range(3)]
    exchange.tell("x", None)
    assert [asker.answers for asker in askers] == [[MAKE_AND_TELL], [MAKE], [MAKE]]
    assert Asker(exchange).answers == [MAKE]


def test_what_was_used_least_recently_is_dropped() -> None:
    exchange = Exchange(2)
    exchange.tell("x", b"data")
    exchange.tell("y", bytes(900 << 20))  # zeros take no memory until they are read
    Asker(exchange)
    exchange.tell("z", bytes(900 << 20))
    assert Asker(exchange).answers == [[*MAKE, b"data"]]
    exchange.ask("y", self := object(), (answers := []).append)
    assert answers == [[b"y", b"1"]]
    exchange.leave(self)


# --- real workers


def two_hosts() -> Any:
    return ffnn.pool(SlotExecutor([LocalHost(1, 1), LocalHost(1, 1)]), share=True, progress=False)


def test_if_a_worker_is_killed_the_other_host_computes_for_both(tmp_path: Path) -> None:
    X, y = texts(90)
    log = tmp_path / "log"

    def wait_for(n: int) -> None:
        until = time.monotonic() + 60
        while len(list(tmp_path.glob("worker-*"))) < n and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.5)  # until it waits

    def die() -> None:
        wait_for(2)
        os.kill(os.getpid(), signal.SIGKILL)

    def act() -> None:
        once(tmp_path / "done", die)()
        wait_for(3)

    def fit(pipeline: Any) -> Any:
        (tmp_path / f"worker-{os.getpid()}").touch()
        return pipeline.fit(X, y).predict_proba(X)

    pipeline = search(counting(log, act)).estimator
    with two_hosts() as pool:
        one, other = pool.map(fit, [pipeline, pipeline])
        assert pool.n_retries == 1
    assert counted(log)["fit"] == 2
    np.testing.assert_array_equal(one, other)


def test_what_is_computed_sooner_than_sent_is_computed_on_each_host(tmp_path: Path) -> None:
    log = tmp_path / "log"

    class Wide(TransformerMixin, BaseEstimator):  # type: ignore[misc]
        def fit(self, X: Any, y: Any = None) -> Any:
            with log.open("a") as file:
                file.write("fit\n")
            return self

        def transform(self, X: Any) -> Any:
            return np.ones((len(X), 40_000))  # 29 MB

    X, y = np.arange(90.0)[:, None], np.arange(90) % 2
    pipeline = search(Wide()).estimator

    def fit(pipeline: Any, n: int) -> int:
        (tmp_path / f"worker-{n}").touch()
        until = time.monotonic() + 60
        while len(list(tmp_path.glob("worker-*"))) < 2 and time.monotonic() < until:
            time.sleep(0.01)  # both hosts fit
        return int(pipeline.fit(X, y)[0].transform(X).shape[1])

    with two_hosts() as pool:
        assert list(pool.map(fit, [pipeline, pipeline], range(2))) == [40_000, 40_000]
        assert [len(os.listdir(host.facts.shared)) for host in pool.executor.hosts] == [2, 2]
        sent = pool.executor.bytes_sent
    assert counted(log)["fit"] == 2
    assert sent < 5_000_000


def test_a_wait_is_bounded_and_a_late_answer_harms_nobody() -> None:
    def work() -> list[Any]:
        exchange.PATIENCE = 0.2
        first = exchange.ask("slow")
        exchange.PATIENCE = 60.0
        data, wanted = exchange.ask("quick")
        return [first, bytes(data or b""), wanted]

    def receive(kind: Kind) -> Message:
        while (message := channel.receive())[0] is not kind:
            assert message[0] not in (Kind.RESULT, Kind.ERROR)
        return message

    command = [sys.executable, "-m", "ffnn.parallel.tasks.child"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        channel = PipeChannel(child.stdout.fileno(), child.stdin.fileno())
        channel.send(Kind.TASK, pack(Task(work), "it"))
        assert receive(Kind.ASK)[1] == [b"slow"]
        assert receive(Kind.ASK)[1] == [b"quick"]
        channel.send(Kind.ANSWER, [b"slow", b"0", b"too late"])
        channel.send(Kind.ANSWER, [b"quick", b"0", b"in time"])
        assert open_outcome(receive(Kind.RESULT), "it")[1]() == [(None, True), b"in time", False]
        channel.send(Kind.ANSWER, [b"other", b"0"])
        channel.send(Kind.TASK, pack(Task(abs, (-1,)), "it"))
        assert open_outcome(receive(Kind.RESULT), "it")[1]() == 1
        channel.send(Kind.STOP)
