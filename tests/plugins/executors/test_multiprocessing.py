from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
import pytest

from ffnn.exceptions import HostError, TaskTimeoutError, WorkerDiedError
from ffnn.parallel.tasks.budget import THREAD_VARIABLES
from ffnn.testing._tasks import gone
from ffnn.testing.executors import ExecutorSuite
from ffnn_plugins.executors.multiprocessing import MultiprocessingExecutor

pytestmark = pytest.mark.timeout(120)


class TestMultiprocessing(ExecutorSuite):
    n_tries = 2

    def make(self, n_workers: int) -> MultiprocessingExecutor:
        return MultiprocessingExecutor(n_workers, max_retries=1)


@pytest.fixture
def one() -> Iterator[MultiprocessingExecutor]:
    executor = MultiprocessingExecutor(1)
    yield executor
    executor.shutdown(cancel_futures=True)


def hold_the_lock() -> None:
    """Run for ages inside one C call, so that no other thread of the process runs."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def wait_until_gone(*pids: int, within: float = 10.0) -> None:
    until = time.monotonic() + within
    while not all(map(gone, pids)):
        assert time.monotonic() < until, [pid for pid in pids if not gone(pid)]
        time.sleep(0.02)


def test_one_worker_per_cpu_by_default() -> None:
    assert MultiprocessingExecutor().n_workers == joblib.cpu_count()


def test_nothing_starts_before_the_first_task() -> None:
    before = threading.active_count()
    MultiprocessingExecutor(8)
    assert threading.active_count() == before


def test_a_worker_is_warm_and_recycled(one: MultiprocessingExecutor) -> None:
    assert len({one.submit(os.getpid).result(60) for _ in range(6)}) == 1
    with MultiprocessingExecutor(1, max_tasks_per_child=2) as recycled:
        assert len({recycled.submit(os.getpid).result(60) for _ in range(6)}) == 3


def test_an_idle_worker_that_is_killed_is_replaced(one: MultiprocessingExecutor) -> None:
    for _ in range(2):
        first = one.submit(os.getpid).result(60)
        os.kill(first, signal.SIGKILL)
        assert one.submit(os.getpid).result(60) != first
    assert one.n_retries == 0


def test_a_supervisor_that_is_killed_costs_a_retry(one: MultiprocessingExecutor, tmp_path: Path) -> None:
    def kill_supervisor_once() -> int:
        if not (tmp_path / "pid").exists():
            (tmp_path / "pid").write_text(str(os.getpid()))
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        return os.getpid()

    assert one.submit(kill_supervisor_once).result(60)
    wait_until_gone(int((tmp_path / "pid").read_text()))


def test_an_idle_worker_ends_after_a_while() -> None:
    with MultiprocessingExecutor(1, idle_timeout=0.2) as executor:
        first = executor.submit(os.getpid).result(60)
        wait_until_gone(first)
        assert executor.submit(os.getpid).result(60) != first


@pytest.mark.parametrize("task", [lambda: time.sleep(300), hold_the_lock])
def test_a_task_that_takes_too_long_is_ended(task: object) -> None:
    with MultiprocessingExecutor(1, task_timeout=0.5) as executor:
        pid = executor.submit(os.getpid).result(60)
        error = executor.submit(task).exception(30)  # type: ignore[arg-type]
        assert isinstance(error, TaskTimeoutError)
        assert isinstance(error, TimeoutError)
        assert "task_timeout=0.5 seconds" in str(error)
        assert gone(pid)
        assert executor.submit(abs, -1).result(60) == 1
        assert executor.n_retries == 0


def test_importing_does_not_count_as_the_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_engine.py").write_text("import time\ntime.sleep(1.5)\nanswer = 42\n")
    monkeypatch.syspath_prepend(tmp_path)

    def use_engine(seconds: float) -> int:
        import slow_engine  # type: ignore[import-not-found]

        time.sleep(seconds)
        return int(slow_engine.answer)

    with MultiprocessingExecutor(1, task_timeout=1) as executor:
        assert executor.submit(use_engine, 0).result(60) == 42
        with pytest.raises(TaskTimeoutError):
            executor.submit(use_engine, 30).result(60)


def test_max_retries_is_heeded_and_the_error_says_everything() -> None:
    def die() -> None:
        os.write(2, b"the last words\n")
        os._exit(7)

    with MultiprocessingExecutor(1, max_retries=0) as executor:
        error = executor.submit(die).exception(60)
    assert isinstance(error, WorkerDiedError)
    assert error.exit_code == 7
    assert "a worker ended with exit code 7 while it ran" in str(error)
    assert error.worker == "localhost-0"  # not in the text: so those that died alike are counted together
    assert "max_retries=0" in str(error)
    assert "the last words" in str(error)


def test_a_chatty_task_disturbs_nothing(one: MultiprocessingExecutor, capsys: pytest.CaptureFixture[str]) -> None:
    def chat() -> str:
        for descriptor in (1, 2):
            os.write(descriptor, b"noise\n" * 200_000)
        subprocess.run(["echo", "from a process of its own"], check=True)
        print("printed")
        print("warned", file=sys.stderr)
        return sys.stdin.read()

    assert one.submit(chat).result(60) == ""
    captured = capsys.readouterr()
    assert captured.out == "printed\n"
    assert captured.err == "warned\n"


def test_what_a_task_started_ends_with_it(one: MultiprocessingExecutor, tmp_path: Path) -> None:
    def start_and_hang() -> None:
        detached = subprocess.Popen(["sleep", "300"], start_new_session=True)
        (tmp_path / "pids").write_text(f"{os.getpid()} {detached.pid} .")
        time.sleep(300)

    future = one.submit(start_and_hang)
    while not (tmp_path / "pids").exists() or "." not in (tmp_path / "pids").read_text():
        time.sleep(0.02)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()[:2]]
    future.cancel()
    wait_until_gone(*pids)


def test_threads_are_bounded_before_anything_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def environment() -> dict[str, str]:
        return dict(os.environ)

    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    with MultiprocessingExecutor(1, threads_per_worker=3) as executor:
        found = executor.submit(environment).result(60)
        assert {found[name] for name in THREAD_VARIABLES} == {"3"}
        assert executor.submit(joblib.cpu_count).result(60) == min(3, joblib.cpu_count())
    with MultiprocessingExecutor(64) as executor:
        found = executor.submit(environment).result(60)
        assert found["OMP_NUM_THREADS"] == "5"  # the user's own wish
        assert found["TF_NUM_INTRAOP_THREADS"] == "1"


def test_each_worker_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def meet(me: int, other: int) -> str:
        (tmp_path / str(me)).touch()
        while not (tmp_path / str(other)).exists():
            time.sleep(0.02)
        return os.environ["CUDA_VISIBLE_DEVICES"]

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    with MultiprocessingExecutor(2) as executor:
        futures = [executor.submit(meet, me, 1 - me) for me in (0, 1)]
        assert {future.result(60) for future in futures} == {"2", "5"}


def test_a_worker_that_cannot_start_is_a_named_error(
    one: MultiprocessingExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    error = one.submit(abs, 1).exception(60)
    assert isinstance(error, HostError)
    assert "/no/such/python" in str(error)


@pytest.mark.parametrize("end", ["result", "exception", "death", "cancel"])
def test_a_task_that_has_ended_is_not_kept(end: str, tmp_path: Path) -> None:
    def act(argument: np.ndarray, started: Path) -> None:
        started.touch()
        if end == "exception":
            raise ZeroDivisionError
        if end == "death":
            os._exit(1)
        if end == "cancel":
            time.sleep(300)

    with MultiprocessingExecutor(1, max_retries=0) as executor:
        argument = np.zeros(100_000)
        kept = weakref.ref(argument)
        future = executor.submit(act, argument, tmp_path / "started")
        del argument
        while not (tmp_path / "started").exists():
            time.sleep(0.02)
        if end == "cancel":
            assert future.cancel()
        else:
            future.exception(60)
        executor.submit(abs, 1).result(60)  # the slot has turned to something else
        assert kept() is None


def test_an_executor_that_is_forgotten_ends_its_workers() -> None:
    executor = MultiprocessingExecutor(1)
    pid = executor.submit(os.getpid).result(60)
    del executor
    wait_until_gone(pid)


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("n_workers", 0, ValueError),
        ("n_workers", "two", TypeError),
        ("threads_per_worker", 0, ValueError),
        ("task_timeout", -1, ValueError),
        ("task_timeout", "a minute", TypeError),
        ("max_retries", -1, ValueError),
        ("max_tasks_per_child", 0, ValueError),
        ("start_timeout", float("inf"), ValueError),
        ("idle_timeout", None, TypeError),
    ],
)
def test_bad_options_are_named(option: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"^{option} must be .*got {value!r}.*[Pp]ass"):
        MultiprocessingExecutor(**{option: value})  # type: ignore[arg-type]


SCRIPT = """
import os, re, subprocess, sys, time
import joblib
import numpy as np
import ffnn

assert "tensorflow" not in sys.modules
print("main", flush=True)  # once: no worker runs this file


path = sys.argv[1]


def run(seconds):
    sleeper = subprocess.Popen(["sleep", "300"], start_new_session=True)
    with open(path, "a") as file:
        file.write(f"{os.getpid()} {sleeper.pid}\\n")
    re.match(r"(a+)+$", "a" * 60 + "b")


with ffnn.pool("multiprocessing", n_workers=2, progress=False) as pool:
    print(pool.submit(abs, -3).result(), flush=True)
    joblib.Parallel()(joblib.delayed(run)(300) for _ in range(6))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_outlives_the_program(number: signal.Signals, tmp_path: Path) -> None:
    script, pids = tmp_path / "script.py", tmp_path / "pids"
    script.write_text(SCRIPT)
    pids.touch()
    with subprocess.Popen([sys.executable, str(script), str(pids)], stdout=subprocess.PIPE) as program:
        until = time.monotonic() + 60
        while pids.read_text().count("\n") < 2:
            assert time.monotonic() < until
            assert program.poll() is None
            time.sleep(0.05)
        program.send_signal(number)
        assert program.wait(10) == -number
        assert program.stdout is not None
        assert program.stdout.read().split() == [b"main", b"3"]
    wait_until_gone(*map(int, pids.read_text().split()))
