"""The executor `dask` when something breaks: each fault is provoked for real, on clusters of this machine."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from distributed import Client, Future, Security

import ffnn
from ffnn.exceptions import HostError, HostWarning, WorkerDiedError
from ffnn.executor import Task
from ffnn.parallel.tasks.store import Hashes
from ffnn.parallel.tasks.task import pack_task
from ffnn.testing import _tasks as tasks
from ffnn_plugins.executors._dask import worker
from ffnn_plugins.executors.dask import DaskExecutor
from tests.support.dask_cluster import Authority, Cluster, MakeCluster, wait_for
from tests.support.disks import small_disk_at

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

Options = dict[str, Any]


@pytest.fixture
def cluster(dask_cluster: MakeCluster) -> Cluster:
    """Two workers on one host, each with a nanny."""
    cluster = dask_cluster()
    cluster.start_workers([{"nanny": True}, {"nanny": True}])
    return cluster


@pytest.fixture
def options(cluster: Cluster, dask_authority: Authority) -> Options:
    return {"address": cluster.address, "security": dask_authority.security()}


@pytest.fixture
def shared(two_slots: Cluster) -> Cluster:
    """The cluster of the tests that leave all of it alive; nothing runs there, and no run has left anything."""
    wait_for(lambda: not two_slots.children() and not two_slots.leftovers(), "nothing left")
    return two_slots


@pytest.fixture
def shared_options(shared: Cluster, dask_authority: Authority) -> Options:
    return {"address": shared.address, "security": dask_authority.security()}


def add(X: Any, number: int, seconds: float) -> float:
    time.sleep(seconds)
    return float(X[0] + number)


def under_way(executor: DaskExecutor, n: int = 12, seconds: float = 0.5) -> Callable[[], None]:
    """Submit tasks, wait for the first result, and return what asserts that all come."""
    X = np.full(100_000, 7.0)
    futures = [executor.submit(add, X, number, seconds) for number in range(n)]
    assert futures[0].result(60) == 7

    def check() -> None:
        assert [future.result(60) for future in futures] == [7.0 + number for number in range(n)]

    return check


def kill_children(cluster: Cluster) -> list[int]:
    pids = cluster.children()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return pids


# --- workers


def test_children_agents_workers_and_nannies_are_killed_in_turn(cluster: Cluster, options: Options) -> None:
    with DaskExecutor(**options) as executor:
        check = under_way(executor)
        assert kill_children(cluster)
        check()

        check = under_way(executor)
        agents = {psutil.Process(pid).ppid() for pid in cluster.processes("supervisor.py")}
        assert agents
        for pid in agents:
            os.kill(pid, signal.SIGKILL)
        check()

        check = under_way(executor)
        os.kill(cluster.dask_worker(cluster.workers[0]), signal.SIGKILL)  # its nanny starts another
        check()

        check = under_way(executor)
        nanny = cluster.workers[1]
        below = [process.pid for process in psutil.Process(nanny.pid).children(recursive=True)]
        assert len(below) >= 3
        nanny.kill()
        wait_for(lambda: all(map(tasks.gone, below)), "all that was below the nanny gone")
        check()


def test_all_workers_are_killed_and_come_back(cluster: Cluster, options: Options) -> None:
    with DaskExecutor(**options) as executor:
        check = under_way(executor)
        for program in cluster.workers:
            os.kill(cluster.dask_worker(program), signal.SIGKILL)
        check()


def test_all_workers_are_killed_and_none_comes_back(cluster: Cluster, options: Options) -> None:
    # time for a client on a busy machine to hear of the worker that comes at the end
    with DaskExecutor(**options, start_timeout=10) as executor:
        futures = [executor.submit(time.sleep, 60) for _ in range(20)]
        wait_for(lambda: len(cluster.children()) == 2, "two children")
        start = time.monotonic()
        for program in cluster.workers:
            program.kill()
        for future in futures:
            error = future.exception(30)
            assert isinstance(error, HostError)
            assert "no threads for tasks" in str(error)
            assert "start_timeout" in str(error)
        assert time.monotonic() - start < 25
        wait_for(lambda: not cluster.children(), "no children")
        # nobody is left who could have put it away but the agents
        wait_for(lambda: not cluster.leftovers(), "no folders")
        cluster.worker()
        assert executor.submit(abs, -1).result(60) == 1


def test_the_only_holder_of_the_data_is_killed(dask_cluster: MakeCluster, dask_authority: Authority) -> None:
    cluster = dask_cluster()
    first = cluster.worker(host="a")
    with DaskExecutor(cluster.address, security=dask_authority.security()) as executor:
        check = under_way(executor, seconds=0.2)
        before = executor.bytes_sent
        first.kill()
        cluster.worker(host="b")
        check()
        assert executor.bytes_sent > before + 800_000


def test_a_worker_that_loses_its_folder_is_sent_the_data_again(shared: Cluster, shared_options: Options) -> None:
    with DaskExecutor(**shared_options) as executor:
        check = under_way(executor)
        for folder in shared.leftovers():
            for blob in folder.glob("data/*"):
                blob.unlink()
        check()


def test_a_candidate_that_holds_the_lock_costs_no_worker(shared: Cluster, shared_options: Options) -> None:
    pids = {shared.dask_worker(program) for program in shared.workers}
    with DaskExecutor(**shared_options, task_timeout=8) as executor:
        hold = executor.submit(re.match, r"(a+)+$", "a" * 60 + "b")
        others = [executor.submit(abs, -number) for number in range(20)]
        assert [future.result(30) for future in others] == list(range(20))
        assert "task_timeout=8" in str(hold.exception(30))
    assert {shared.dask_worker(program) for program in shared.workers} == pids


def test_a_task_that_takes_dask_workers_with_it_ends_by_a_name(cluster: Cluster, options: Options) -> None:
    pids = [cluster.dask_worker(program) for program in cluster.workers]

    def kill_dask_worker() -> None:
        process = psutil.Process()
        while "distributed" not in " ".join(process.cmdline()) and "spawn_main" not in " ".join(process.cmdline()):
            process = process.parent()
        process.kill()
        time.sleep(60)

    with DaskExecutor(**options) as executor:
        error = executor.submit(kill_dask_worker).exception(100)
        assert isinstance(error, WorkerDiedError)
        assert "Dask workers ended while they ran" in str(error)
        assert "kill_dask_worker" in str(error)
        assert executor.submit(abs, -1).result(60) == 1
    assert all(map(tasks.gone, pids))


@pytest.fixture
def cluster_with_small_disk(dask_cluster: MakeCluster) -> Iterator[Cluster]:
    """A cluster whose host b has a disk of 4 MB."""
    cluster = dask_cluster()
    with small_disk_at(cluster.temporary("b"), "4m"):
        yield cluster


def test_a_full_disk_leaves_the_host_out(cluster_with_small_disk: Cluster, dask_authority: Authority) -> None:
    cluster = cluster_with_small_disk
    full = cluster.worker(host="b")
    X = np.random.default_rng(0).normal(size=1_000_000)
    options: Options = {"address": cluster.address, "security": dask_authority.security()}
    with DaskExecutor(**options) as executor:
        error = executor.submit(np.sum, X).exception(60)
        assert isinstance(error, HostError)
        assert full.address in str(error)
        assert "could not take 8.0 MB of data: No space left on device" in str(error)
        assert "TMPDIR" in str(error)
        assert executor.submit(abs, -1).result(60) == 1  # what needs no data runs there
    cluster.worker(host="a")
    with DaskExecutor(**options) as executor:
        with pytest.warns(HostWarning, match="No space left on device"):
            results = [future.result(60) for future in [executor.submit(np.sum, X) for _ in range(12)]]
        np.testing.assert_allclose(results, X.sum())


def test_workers_that_end_in_order_leave_nothing(dask_cluster: MakeCluster) -> None:
    cluster = dask_cluster(tls=False)
    cluster.start_workers([{"nanny": True}, {"nanny": False}])
    with DaskExecutor(cluster.address) as executor:
        assert executor.submit(add, np.ones(100_000), 1, 0).result(60) == 2
        assert cluster.leftovers()
        for program in cluster.workers:
            os.kill(program.pid, signal.SIGTERM)
        for program in cluster.workers:
            program.process.wait(30)
        wait_for(lambda: not cluster.leftovers(), "no folders", 3)


# --- the scheduler, and others who have a say there


def test_the_scheduler_is_killed(
    cluster: Cluster, options: Options, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    executor = DaskExecutor(**options)
    futures = [executor.submit(time.sleep, 60) for _ in range(30)]
    wait_for(lambda: len(cluster.children()) == 2, "two children")
    os.kill(cluster.scheduler.pid, signal.SIGSTOP)
    time.sleep(1.2)  # so that it dies while it is asked something
    cluster.scheduler.kill()
    for future in futures:
        error = future.exception(20)
        assert isinstance(error, HostError)
        assert f"the Dask scheduler at {cluster.address} is gone" in str(error)
    with pytest.raises(HostError, match="is gone"):
        executor.submit(abs, 1).result(5)
    wait_for(lambda: not cluster.children(), "no children")
    start = time.monotonic()
    executor.shutdown()
    assert time.monotonic() - start < 20
    assert "Traceback" not in "".join(capfd.readouterr())
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


def test_somebody_takes_the_tasks_away(cluster: Cluster, options: Options) -> None:
    with (
        Client(cluster.address, security=Security(**options["security"]), set_as_default=False) as other,
        DaskExecutor(**options) as executor,
    ):
        check = under_way(executor, seconds=3)  # a busy machine asks for the keys late

        def keys(dask_scheduler: Any) -> list[str]:
            return [key for key in dask_scheduler.tasks if key.startswith("add-")]

        found: list[str] = []
        wait_for(lambda: found.extend(other.run_on_scheduler(keys)) or found, "tasks on the scheduler")
        other.cancel([Future(key, other) for key in found], force=True)
        check()
        assert executor.n_retries >= 1

        check = under_way(executor)
        other.restart()
        check()


# --- the client


SCRIPT = """
import json, sys, time
import ffnn, numpy as np, re
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GridSearchCV

class Slow(ClassifierMixin, BaseEstimator):
    def __init__(self, a=0):
        self.a = a

    def fit(self, X, y):
        {fit}

if __name__ == "__main__":
    X, y = np.ones((2000, 200)), np.arange(2000) % 2
    with ffnn.pool("dask", progress=False, **json.loads(sys.argv[1])):
        print("begins", flush=True)
        GridSearchCV(Slow(), {{"a": list(range(20))}}, cv=2, error_score="raise").fit(X, y)
"""
HOLD = 're.match(r"(a+)+$", "a" * 60 + "b")'


@pytest.fixture
def script(shared: Cluster, tmp_path: Path) -> Iterator[Callable[[str, Options], subprocess.Popen[str]]]:
    """Start a search in a program of its own, and wait until fits run."""
    started: list[subprocess.Popen[str]] = []

    def start(fit: str, options: Options) -> subprocess.Popen[str]:
        (tmp_path / "script.py").write_text(SCRIPT.format(fit=fit))
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "script.py"), json.dumps(options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        wait_for(lambda: len(shared.children()) == 2, "two children")
        time.sleep(2)  # they unpickle, and begin
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_ctrl_c_ends_what_runs(
    script: Callable[[str, Options], subprocess.Popen[str]], shared: Cluster, shared_options: Options
) -> None:
    process = script("time.sleep(300)", shared_options)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    wait_for(lambda: not shared.children() and not shared.leftovers(), "nothing left")
    assert process.returncode != 0
    assert stderr.rstrip().endswith("KeyboardInterrupt")
    assert stderr.count("Traceback") == 1


def test_a_task_that_begins_after_its_run_was_closed_starts_nothing(shared: Cluster, shared_options: Options) -> None:
    """A worker may have it next when a client that stops closes its run: nobody would close that once more."""
    with DaskExecutor(**shared_options) as executor:
        assert executor.submit(abs, -1).result(60) == 1
        assert executor._run is not None
        packed = pack_task(Task(abs, (-1,)), "late", Hashes())
        settings = executor._run._sender._settings
        order = pickle.dumps((settings, "late", 0, [bytes(buffer) for buffer in packed.buffers]))
    wait_for(lambda: not shared.children(), "no children")
    with Client(shared.address, security=shared_options["security"]) as client:
        for address in client.scheduler_info()["workers"]:
            outcome = pickle.loads(client.submit(worker.run, order, pure=False, workers=[address]).result(60))
            assert outcome["state"] == "broken"
            assert "takes no more tasks" in str(outcome["error"])
    assert not shared.children()
    assert not shared.leftovers()


def test_a_client_that_is_killed_leaves_nothing(
    script: Callable[[str, Options], subprocess.Popen[str]], shared: Cluster, shared_options: Options
) -> None:
    process = script(HOLD, shared_options)
    process.kill()
    assert wait_for(lambda: not shared.children(), "no children") < 10
    wait_for(lambda: not shared.leftovers(), "no folders", 45)


def test_an_exception_ends_what_runs(shared: Cluster, shared_options: Options, tmp_path: Path) -> None:
    start = time.monotonic()
    futures: list[Any] = []

    def fail() -> None:
        with ffnn.pool("dask", progress=False, **shared_options) as pool:
            futures.extend(pool.submit(tasks.sleep, tmp_path / str(number)) for number in range(6))
            tasks.wait_for(lambda: len(list(tmp_path.iterdir())) == 2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert time.monotonic() - start < 20
    assert all(future.cancelled() for future in futures)
    assert shared.children() == shared.leftovers() == []
    assert len(list(tmp_path.iterdir())) == 2


def test_threads_and_connections_do_not_grow(shared: Cluster, shared_options: Options) -> None:
    def use() -> None:
        with DaskExecutor(**shared_options) as executor:
            assert executor.submit(abs, -1).result(60) == 1

    use()
    before = threading.active_count(), len(psutil.Process().net_connections())
    for _ in range(3):
        use()
    wait_for(lambda: threading.active_count() <= before[0], "the threads of before")
    assert len(psutil.Process().net_connections()) <= before[1]
