from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ffnn.exceptions import TaskTimeoutError, WorkerStartError
from ffnn.executor import Task
from ffnn.parallel.hosts.connection import Connection
from ffnn.parallel.hosts.local import LocalHost
from ffnn.parallel.hosts.provisioner import Command
from ffnn.parallel.slots.worker import Worker, WorkerGone, describe_exit
from ffnn.parallel.tasks.task import open_outcome, pack
from ffnn.parallel.tasks.time_limit import TimeLimit
from ffnn.testing._tasks import gone

pytestmark = pytest.mark.timeout(60)

CHILD = [sys.executable, "-m", "ffnn.parallel.tasks.child"]


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    where = LocalHost(1)
    connection = Connection(where.start(), silence=30, lease=None)
    connection.wait_for_facts(30)
    yield connection
    connection.close(where.stop)


Start = Callable[..., Worker]


@pytest.fixture
def start(connection: Connection) -> Iterator[Start]:
    workers = []

    def start(*command: str, timeout: float = 30.0) -> Worker:
        process = connection.launch(Command(command or CHILD))
        workers.append(Worker("worker-0", process, timeout, lambda data: None))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()


def run(worker: Worker, function: Callable[..., Any], *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
    return open_outcome(worker.run(pack(Task(function, args, kwargs), "it"), timeout), "it")[1]()


@pytest.fixture
def worker(start: Start) -> Worker:
    worker = start()
    worker.wait_until_ready()
    return worker


def test_a_worker_runs_tasks_and_stops(worker: Worker) -> None:
    pid = run(worker, os.getpid)
    assert run(worker, pow, 2, 5) == 32
    assert worker.n_tasks == 2
    assert worker.alive
    worker.stop()
    assert worker.exit_code == 0
    assert gone(pid)


def test_a_task_may_close_its_streams(worker: Worker) -> None:
    def close() -> None:
        sys.stdout.close()
        sys.stderr = None

    run(worker, close)
    assert run(worker, abs, -1) == 1


def test_a_death_during_a_task_is_the_tasks(worker: Worker) -> None:
    with pytest.raises(WorkerGone) as caught:
        run(worker, os._exit, 3)
    assert caught.value.started
    assert worker.exit_code == 3


def test_a_death_between_tasks_is_not(worker: Worker) -> None:
    os.kill(run(worker, os.getpid), signal.SIGKILL)
    with pytest.raises(WorkerGone) as caught:
        run(worker, abs, 1)
    assert not caught.value.started
    assert worker.exit_code == -signal.SIGKILL


def test_a_large_task_for_a_dead_worker_does_not_hang(worker: Worker) -> None:
    os.kill(run(worker, os.getpid), signal.SIGKILL)
    with pytest.raises(WorkerGone):
        run(worker, len, bytes(50_000_000))


def test_another_thread_can_end_a_task(worker: Worker) -> None:
    threading.Timer(0.3, worker.end).start()
    with pytest.raises(WorkerGone):
        run(worker, time.sleep, 300)


def test_a_timeout_ends_the_process(worker: Worker) -> None:
    pid = run(worker, os.getpid)
    with pytest.raises(TaskTimeoutError, match="longer than task_timeout=0.2 seconds"):
        run(worker, time.sleep, 300, timeout=0.2)
    assert gone(pid)


def parts(*seconds: float, limit: float) -> str:
    """Sleep for some times, with a limit for each; a process is ended five seconds after that."""
    for part in seconds:
        with TimeLimit(limit - 5.0, "part_timeout=1"):
            time.sleep(part)
    return "done"


def test_a_task_may_limit_the_time_of_a_part(worker: Worker) -> None:
    with pytest.raises(TaskTimeoutError, match="it took longer than part_timeout=1 seconds and was ended"):
        run(worker, parts, 60.0, limit=0.5)
    assert not worker.alive


def test_a_limit_holds_for_its_part_alone(worker: Worker) -> None:
    def several() -> str:
        parts(0.7, 0.7, 0.7, limit=1.2)
        time.sleep(1.5)
        return "done"

    assert run(worker, several) == "done"


def test_a_part_gets_no_more_time_than_its_task(worker: Worker) -> None:
    def late() -> str:
        time.sleep(0.7)
        return parts(60.0, limit=0.9)

    start = time.monotonic()
    with pytest.raises(TaskTimeoutError, match="task_timeout=1 "):
        run(worker, late, timeout=1.0)
    assert time.monotonic() - start < 5.0


def test_a_stopped_worker_is_given_up_before_it_takes_a_task(start: Start) -> None:
    worker = start(timeout=3)
    worker.wait_until_ready()
    os.kill(run(worker, os.getpid), signal.SIGSTOP)
    with pytest.raises(WorkerGone) as caught:
        run(worker, abs, 1)
    assert not caught.value.started


def test_a_task_may_take_longer_than_a_worker_may_take_to_begin_it(start: Start) -> None:
    worker = start(timeout=3)
    worker.wait_until_ready()
    assert run(worker, time.sleep, 3.5) is None


def test_stderr_is_drained_and_its_end_kept(worker: Worker) -> None:
    def chat() -> None:
        os.write(2, b"x" * 5_000_000 + b"\n" + b"line\n" * 100_000 + b"without an end")

    run(worker, chat)
    worker.stop()
    assert worker.stderr.splitlines() == ["line"] * 19 + ["without an end"]


def test_what_cannot_start_says_why(start: Start) -> None:
    worker = start("sh", "-c", "echo no such luck >&2; exit 4")
    with pytest.raises(WorkerStartError, match=r"worker-0 ended with exit code 4 before it was ready.*\nno such luck"):
        worker.wait_until_ready()
    worker = start("sleep", "300", timeout=0.3)
    with pytest.raises(WorkerStartError, match=r"not ready after 0\.3 seconds \(start_timeout\)"):
        worker.wait_until_ready()
    worker = start("/no/such/command")
    with pytest.raises(WorkerStartError, match="exit code 127 .*\ncannot run /no/such/command: No such file"):
        worker.wait_until_ready()


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "ended with exit code 0"), (-9, "was killed by SIGKILL"), (-11, "was killed by SIGSEGV"), (None, "stopped")],
)
def test_exits_have_words(code: int | None, words: str) -> None:
    assert describe_exit(code).startswith(words)
