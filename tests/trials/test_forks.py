"""A process that has workers, or is one, is forked: the copy must leave alone what belongs to the original."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ffnn
from tests.support.dask_cluster import Cluster

pytestmark = pytest.mark.timeout(180)

FORKS = """
import os, sys, time
import joblib
import ffnn

def pid(seconds=0.0):
    time.sleep(seconds)
    print("words for the log", file=sys.stderr)
    return os.getpid()

def in_a_fork(act):
    child = os.fork()
    if child == 0:
        act()
        sys.exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3

def refuses():
    for use in (lambda: pool.submit(abs, -1), lambda: joblib.Parallel()([joblib.delayed(abs)(-1)] * 2)):
        try:
            use()
        except RuntimeError as error:
            assert "is in use by process" in str(error) and "Make another here" in str(error), error
        else:
            raise AssertionError("it took the task")

def lets_go():
    global generator
    running.cancel()
    del generator
    pool.shutdown(cancel_futures=True)

options = eval(sys.argv[1])
with ffnn.pool(**options, progress=True) as pool:
    workers = {pool.submit(pid).result() for _ in range(3)}
    generator = joblib.Parallel(return_as="generator")(joblib.delayed(pid)(0.3) for _ in range(20))
    first, running = next(generator), pool.submit(pid, 2)
    for act in (lambda: None, refuses, lets_go):
        in_a_fork(act)
    assert {first, *generator} == {running.result()} == {pool.submit(pid).result()} == workers, "other workers"
    assert pool.n_retries == 0

unused = ffnn.pool(**options)
def starts():
    assert unused.submit(abs, -1).result() == 1
    unused.shutdown()
in_a_fork(starts)
print("all held")
"""


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["multiprocessing", "dask"])
def test_a_fork_of_the_client_leaves_its_workers_alone(
    executor: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    options: dict[str, object] = {"name": executor, "n_workers": 1}
    if executor == "dask":
        cluster = Cluster()
        request.addfinalizer(cluster.stop)
        cluster.start_workers([{}])
        options["address"] = cluster.address
    done = subprocess.run(
        [sys.executable, "-c", FORKS, repr(options)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "all held" in done.stdout, done.stderr
    assert done.stderr.count(" tasks on 1 worker") == 1, done.stderr  # the summary of one pool, printed once
    assert not list(tmp_path.iterdir())


def fork_and_leave(how: str) -> int:
    if os.fork() == 0:
        if how == "raise":
            raise ZeroDivisionError("in the fork")
        if how == "exit":
            sys.exit(0)
        return -1
    _, status = os.wait()
    return os.waitstatus_to_exitcode(status)


def test_a_copy_that_a_task_forks_answers_nobody() -> None:
    with ffnn.pool(n_workers=1) as pool:
        pid = pool.submit(os.getpid).result()
        for how, code in (("exit", 0), ("return", 0), ("raise", 1)):
            assert pool.submit(fork_and_leave, how).result() == code
            assert pool.submit(abs, -7).result() == 7
        assert pool.submit(os.getpid).result() == pid
