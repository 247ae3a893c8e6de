"""What a task reports while it runs, to whoever listens in the process that submitted it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ffnn.executor import Executor, Future, Task
from ffnn.parallel.tasks.events import send_event
from ffnn.parallel.tasks.task import open_outcome, pack
from ffnn.parallel.tasks.wire import Kind, PipeChannel
from ffnn.testing._tasks import wait_for
from ffnn_plugins.executors.multiprocessing import MultiprocessingExecutor
from ffnn_plugins.executors.threads import ThreadsExecutor

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with MultiprocessingExecutor(1) as executor:
        yield executor


@pytest.fixture(params=["processes", "threads"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "processes":
        yield request.getfixturevalue("processes")
        return
    with ThreadsExecutor(1) as executor:
        yield executor


class Listener:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def __call__(self, kind: str, payload: Any) -> None:
        self.heard.append((kind, payload))

    def wait(self, n: int) -> list[tuple[str, Any]]:
        wait_for(lambda: len(self.heard) >= n)
        return self.heard


def listen(executor: Executor, task: Any, *args: Any) -> tuple[Any, Listener]:
    listener = Listener()
    future = executor.submit(task, *args)
    future.on_event(listener)
    return future.result(30), listener


def test_nobody_takes_an_event_outside_a_task() -> None:
    assert send_event("epoch", 1) is False


def test_the_kind_is_a_string(executor: Executor) -> None:
    with pytest.raises(TypeError, match="kind must be a string; got 3 of type int"):
        send_event(3)  # type: ignore[arg-type]
    assert isinstance(executor.submit(send_event, None).exception(30), TypeError)  # type: ignore[arg-type]


def test_a_listener_is_a_function() -> None:
    with pytest.raises(
        TypeError, match="listener must be a function of an event's kind and payload; got 3 of type int"
    ):
        Future().on_event(3)  # type: ignore[arg-type]


def test_those_of_which_the_latest_matters_are_thinned(executor: Executor) -> None:
    def work() -> int:
        until = time.monotonic() + 1.0
        n = 0
        while time.monotonic() < until:
            n += 1
            send_event("epoch", n, latest_only=True)
            send_event("other", -n, latest_only=True)
        return n

    n, listener = listen(executor, work)
    heard = listener.wait(4)
    wait_for(lambda: ("other", -n) in heard)
    for kind, last in ("epoch", n), ("other", -n):
        payloads = [abs(payload) for known, payload in heard if known == kind]
        assert payloads == sorted(payloads)
        assert payloads[-1] == abs(last)
        assert 3 <= len(payloads) <= 6
    assert n > 1000


def test_one_of_which_each_matters_comes_after_what_was_sent_before(executor: Executor) -> None:
    def work() -> None:
        for n in range(3):
            send_event("epoch", n, latest_only=True)
        send_event("end")

    _, listener = listen(executor, work)
    wait_for(lambda: ("end", None) in listener.heard)
    assert listener.heard[-2:] == [("epoch", 2), ("end", None)]  # the first may have been replaced here


def test_a_listener_may_come_late_and_gets_the_last_hundred(executor: Executor) -> None:
    def work() -> None:
        for n in range(150):
            send_event("epoch", n)

    future = executor.submit(work)
    future.result(30)
    first, second = Listener(), Listener()
    future.on_event(first)
    assert first.wait(100) == [("epoch", n) for n in range(50, 150)]
    future.on_event(second)
    assert second.heard == []


def test_a_listener_that_fails_harms_nobody(executor: Executor) -> None:
    def fail(kind: str, payload: object) -> None:
        raise ZeroDivisionError("as it should")

    fail.__qualname__ = f"fail_{executor.in_process}"  # what has the same name is reported once

    def work() -> str:
        return "".join(str(send_event("epoch", n)) for n in range(3))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        listener = Listener()
        future = executor.submit(work)
        future.on_event(fail)
        future.on_event(listener)
        assert future.result(30) == "TrueTrueTrue"
        assert listener.wait(3)[-1] == ("epoch", 2)
    (report,) = [str(one.message) for one in caught if "listens to the events" in str(one.message)]
    assert report.startswith(fail.__qualname__)
    assert "ZeroDivisionError: as it should" in report


def test_a_listener_that_hangs_delays_no_task_and_the_queue_stays_bounded(executor: Executor) -> None:
    go = threading.Event()
    heard: list[int] = []

    def hang(kind: str, payload: Any) -> None:
        heard.append(payload)
        go.wait(30)

    def work() -> str:
        for n in range(2000):
            send_event("epoch", n)
        return "done"

    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            future = executor.submit(work)
            future.on_event(hang)
            assert future.result(30) == "done"
            assert executor.submit(abs, -1).result(30) == 1
        assert [str(one.message) for one in caught if "is too slow" in str(one.message)]
    finally:
        go.set()
    wait_for(lambda: heard[-1:] == [1999])
    assert heard == sorted(heard)
    assert len(heard) <= 1100


def test_what_cannot_be_pickled_is_dropped_with_one_warning(processes: Executor, capfd: Any) -> None:
    def work() -> str:
        for _ in range(3):
            send_event("lock", threading.Lock())
            send_event("large", bytes(100_000))
        send_event("fine", 1)
        return "done"

    done, listener = listen(processes, work)
    assert (done, listener.wait(1)) == ("done", [("fine", 1)])
    shown = capfd.readouterr().err
    assert shown.count("events 'lock' of tasks are dropped: the first one cannot be pickled: TypeError") == 1
    assert shown.count("events 'large' of tasks are dropped: the first one has 100") == 1


class Poison:
    def __reduce__(self) -> Any:
        return int, ("x",)


def test_what_cannot_be_unpickled_is_dropped_with_one_warning(processes: Executor) -> None:
    def work() -> None:
        send_event("poison", Poison())
        send_event("poison", Poison())
        send_event("fine", 1)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, listener = listen(processes, work)
        assert listener.wait(1) == [("fine", 1)]
    (text,) = [str(one.message) for one in caught if "poison" in str(one.message)]
    assert "an event 'poison' was dropped, as it cannot be unpickled here" in text
    assert "ValueError" in text


def test_threads_of_a_worker_process_may_send_but_no_fork_of_it(processes: Executor) -> None:
    def work() -> tuple[int, bool]:
        thread = threading.Thread(target=send_event, args=("thread", 1))
        thread.start()
        thread.join()
        pid = os.fork()
        if pid == 0:
            os._exit(3 if send_event("fork") else 4)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), send_event("parent")

    done, listener = listen(processes, work)
    assert done == (4, True)
    assert listener.wait(2) == [("thread", 1), ("parent", None)]


def test_a_thread_that_outlives_its_task_sends_nothing_more(processes: Executor, tmp_path: Path) -> None:
    def start() -> None:
        def late() -> None:
            while not (tmp_path / "go").exists():
                time.sleep(0.01)
            (tmp_path / "taken").write_text(str(send_event("late")))

        threading.Thread(target=late, daemon=True).start()

    processes.submit(start).result(30)
    (tmp_path / "go").touch()
    wait_for(lambda: (tmp_path / "taken").exists() and (tmp_path / "taken").read_text())
    assert (tmp_path / "taken").read_text() == "False"


def test_a_client_that_reads_nothing_delays_no_task(tmp_path: Path) -> None:
    def work() -> int:
        until = time.monotonic() + 0.6
        n = 0
        while time.monotonic() < until:
            n += 1
            send_event("epoch", bytes(20_000), latest_only=True)
        (tmp_path / "done").touch()
        return n

    command = [sys.executable, "-m", "ffnn.parallel.tasks.child"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        channel = PipeChannel(child.stdout.fileno(), child.stdin.fileno())
        channel.send(Kind.TASK, pack(Task(work), "it"))
        wait_for(lambda: (tmp_path / "done").exists())
        kinds = []
        while not kinds or kinds[-1] is not Kind.RESULT:
            message = channel.receive()
            kinds.append(message[0])
        channel.send(Kind.STOP)
    assert open_outcome(message, "it")[1]() > 1000
    assert 3 <= kinds.count(Kind.EVENT) <= 5  # and the last before the result
    assert kinds[-2] is Kind.EVENT
