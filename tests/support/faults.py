"""Faults that every executor of slots must survive, each provoked for real; named after their numbers in a list.

A test class inherits :class:`Faults` and says how a pool is made. What tasks do is written in functions of functions,
which travel by value: workers cannot import this module.

A search is one of fits in NumPy, except where scikit-learn's own answer to the fault is the point: its import takes a
worker longer than the rest of most tests.
"""

from __future__ import annotations

import abc
import contextlib
import ctypes
import functools
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import psutil
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier

from ffnn.exceptions import HostError, TaskPicklingError, TaskTimeoutError, WorkerDiedError, WorkerStartError
from ffnn.testing._tasks import gone
from tests.support.agents import wait_until, wait_until_gone

__all__ = ["Faults", "Search", "assert_same_scores", "data", "nearest", "once", "sabotaged", "scores", "send"]

CANDIDATES = [1, 3, 5, 7, 9, 11]
VICTIM = 3  # the candidate to which it happens


@functools.cache
def data() -> tuple[Any, Any]:
    """Return X, which is large enough to cross apart from the tasks (1.6 MB), and y."""
    random = np.random.default_rng(0)
    y = np.repeat([0, 1, 2, 3], 500)
    return random.normal(size=(2000, 100)) + 0.15 * y[:, None], y


@functools.cache
def nearest() -> type:
    """Return a classifier by the nearest neighbours, made in a function so that it travels by value."""

    class Nearest:
        def __init__(self, n_neighbors: int) -> None:
            self.n_neighbors = n_neighbors

        def fit(self, X: Any, y: Any) -> Any:
            self.X, self.y = X, y
            return self

        def score(self, X: Any, y: Any) -> float:
            distances = (self.X**2).sum(axis=1) - 2 * X @ self.X.T
            near = np.argsort(distances, axis=1)[:, : self.n_neighbors]
            votes = (self.y[near][..., None] == np.arange(self.y.max() + 1)).sum(axis=1)
            return float(np.mean(votes.argmax(axis=1) == y))

    return Nearest


class Search:
    """A search of 12 fits, six candidates on two splits, by joblib."""

    def __init__(self, kind: type | None = None) -> None:
        self.kind = kind or nearest()

    def fit(self, X: Any, y: Any) -> Search:
        """Fit and score every candidate, and keep the scores, of shape (6, 2)."""
        found = joblib.Parallel()(
            joblib.delayed(_fit_and_score())(self.kind(n), X, y, split) for n in CANDIDATES for split in range(2)
        )
        self.scores = np.reshape(found, (len(CANDIDATES), 2))
        return self


@functools.cache
def _fit_and_score() -> Callable[..., float]:
    def fit_and_score(estimator: Any, X: Any, y: Any, split: int) -> float:
        fitted = estimator.fit(X[split::2], y[split::2])
        return float(fitted.score(X[1 - split :: 2], y[1 - split :: 2]))

    return fit_and_score


def grid_search(kind: type = KNeighborsClassifier, **options: Any) -> Any:
    """Make scikit-learn's search, of six fits on one split."""
    rows = np.arange(2000)
    split = [(rows[::2], rows[1::2])]
    return GridSearchCV(kind(), {"n_neighbors": CANDIDATES}, cv=split, refit=False, **options)


@functools.cache
def sequential(kind: type) -> Any:
    """Return the scores of the search of a kind, `Search` or `GridSearchCV`, that meets no fault."""
    with joblib.parallel_config("sequential"):
        return scores((Search() if kind is Search else grid_search()).fit(*data()))


def scores(fitted: Any) -> Any:
    if isinstance(fitted, Search):
        return fitted.scores
    return np.array([fitted.cv_results_[f"split{i}_test_score"] for i in range(fitted.n_splits_)]).T


def assert_same_scores(fitted: Any, but: int | None = None) -> None:
    """Compare a search with the sequential one, bit for bit; leave out the candidate `but`."""
    kept = [i for i, candidate in enumerate(CANDIDATES) if candidate != but]
    np.testing.assert_array_equal(scores(fitted)[kept], sequential(type(fitted))[kept])


def sabotaged(act: Callable[[], object], kind: type | None = None) -> type:
    """Make an estimator on whose third candidate something happens at the beginning of each fit."""

    class Sabotaged(kind or nearest()):  # type: ignore[misc]
        def fit(self, X: Any, y: Any) -> Any:
            if self.n_neighbors == 3:
                act()
            return super().fit(X, y)

    return Sabotaged


def once(flag: Path, act: Callable[[], object]) -> Callable[[], None]:
    """Let something happen in the first process that comes, and only there."""

    def act_once() -> None:
        try:
            os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        act()

    return act_once


def send(generations: int, number: int, rest: float = 60.0) -> Callable[[], None]:
    """Make a function that sends a signal to the task's process (0), its supervisor (1) or its agent (2)."""

    def act() -> None:
        pid = os.getpid()
        for _ in range(generations):
            with open(f"/proc/{pid}/stat") as file:
                pid = int(file.read().rpartition(")")[2].split()[1])
        time.sleep(0.5)  # until the client knows that the task has begun
        os.kill(pid, number)
        time.sleep(rest)

    return act


def hold_the_lock(seconds: int) -> None:
    """Let no other thread of this process run."""
    ctypes.PyDLL(None).sleep(seconds)


class Faults(abc.ABC):
    """The faults that are the same wherever workers are."""

    #: Seconds after which an agent that stands still is given up.
    silence = 30.0

    @abc.abstractmethod
    def pool(self, n_workers: int = 2, **options: Any) -> Any:
        """Make a pool with so many workers, on one host."""

    @abc.abstractmethod
    def break_host(self) -> contextlib.AbstractContextManager[object]:
        """Make it impossible to start an agent as long as the context lasts."""

    @pytest.fixture(autouse=True)
    def nothing_is_left(self) -> Iterator[None]:
        """After each test nothing runs that it started, nor what that started."""
        before = set(psutil.Process().children(recursive=True))
        yield
        left = [process for process in psutil.Process().children(recursive=True) if process not in before]
        left = [process for process in left if not process.name().startswith("sshd")]  # the hosts themselves
        _, alive = psutil.wait_procs(left, timeout=10)
        assert not [process for process in alive if not gone(process.pid)]

    # --- deaths

    @pytest.mark.parametrize(("who", "generations"), [("child", 0), ("supervisor", 1), ("agent", 2)])
    def test_fault_01_a_process_is_killed_under_a_task(self, who: str, generations: int, tmp_path: Path) -> None:
        act = once(tmp_path / "done", send(generations, signal.SIGKILL))
        with self.pool() as pool:
            assert_same_scores(Search(sabotaged(act)).fit(*data()))
            assert pool.n_retries >= 1
            if who == "agent":
                assert sum(host.n_connections for host in pool.executor.hosts) == 2
        assert (tmp_path / "done").exists()

    def test_fault_01_an_idle_worker_is_killed(self) -> None:
        with self.pool(1) as pool:
            for generations in (0, 1, 2):
                pid = pool.submit(os.getpid).result(60)
                os.kill(parent_of(pid, generations), signal.SIGKILL)
                wait_until_gone(pid)
                assert pool.submit(abs, -1).result(60) == 1
            assert pool.n_retries == 0

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
    @pytest.mark.filterwarnings("ignore:One or more of the test scores")
    def test_fault_02_a_candidate_always_kills_its_worker(self) -> None:
        def die() -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        with self.pool(max_retries=1):
            fitted = grid_search(sabotaged(die, KNeighborsClassifier), error_score=-1.0).fit(*data())
            assert_same_scores(fitted, but=VICTIM)
            assert (scores(fitted)[CANDIDATES.index(VICTIM)] == -1).all()
            with pytest.raises(WorkerDiedError, match="SIGKILL"):
                Search(sabotaged(die)).fit(*data())

    def test_fault_03_all_workers_die_and_are_started_again(self, tmp_path: Path) -> None:
        def work() -> None:
            (tmp_path / str(os.getpid())).touch()
            time.sleep(1.5)

        with self.pool() as pool:
            thread = threading.Thread(
                target=kill_when, args=(lambda: len(list(tmp_path.iterdir())) >= 2, lambda: agents(pool))
            )
            thread.start()
            assert_same_scores(Search(sabotaged(work)).fit(*data()))
            thread.join()

    def test_fault_03_all_workers_die_and_cannot_be_started(self, tmp_path: Path) -> None:
        with self.pool() as pool:
            pool.submit(abs, 1).result(60)
            with self.break_host():
                start = time.monotonic()
                act = send(2, signal.SIGKILL)
                with pytest.raises((HostError, WorkerStartError)):
                    Search(sabotaged(act)).fit(*data())
                assert time.monotonic() - start < 60

    def test_fault_04_the_only_holder_of_the_data_dies(self, tmp_path: Path) -> None:
        X, y = data()
        with self.pool(1) as pool:
            assert_same_scores(Search().fit(X, y))
            first = pool.executor.bytes_sent
            assert X.nbytes < first
            act = once(tmp_path / "done", send(2, signal.SIGKILL))
            assert_same_scores(Search(sabotaged(act)).fit(X, y))
            # once for the agent that dies, which had it already; once for the other
            assert X.nbytes < pool.executor.bytes_sent - first < 1.9 * X.nbytes

    def test_fault_06_a_worker_or_its_supervisor_is_stopped(self, tmp_path: Path) -> None:
        stop_child = once(tmp_path / "child", send(0, signal.SIGSTOP, 0.0))
        stop_supervisor = once(tmp_path / "supervisor", send(1, signal.SIGSTOP))

        def act() -> None:
            stop_child()
            stop_supervisor()

        start = time.monotonic()
        with self.pool() as pool:
            assert_same_scores(Search(sabotaged(act)).fit(*data()))
            assert pool.n_retries == 2
        assert time.monotonic() - start < 60

    def test_fault_06_an_agent_is_stopped(self, tmp_path: Path) -> None:
        pids = tmp_path / "pids"

        def stop() -> None:
            agent = os.getppid()
            with open(f"/proc/{agent}/stat") as file:
                agent = int(file.read().rpartition(")")[2].split()[1])
            pids.write_text(f"{os.getpid()} {agent}")
            os.kill(agent, signal.SIGSTOP)
            time.sleep(300)

        start = time.monotonic()
        with self.pool():
            assert_same_scores(Search(sabotaged(once(tmp_path / "done", stop))).fit(*data()))
        assert time.monotonic() - start < self.silence + 30
        child, agent = (int(pid) for pid in pids.read_text().split())
        with contextlib.suppress(ProcessLookupError):  # where only its own host could kill it, it is let go on
            os.kill(agent, signal.SIGCONT)
        wait_until_gone(child, agent)

    def test_fault_07_a_fit_holds_the_lock_for_longer_than_every_timeout(self, tmp_path: Path) -> None:
        seconds = 12

        def hold() -> None:
            ctypes.PyDLL(None).sleep(seconds)

        act = once(tmp_path / "done", hold)
        with self.pool(**self.impatient()) as pool:
            for host in pool.executor.hosts:
                host.silence = 3.0
            assert_same_scores(Search(sabotaged(act)).fit(*data()))
            assert pool.n_retries == 0
            assert all(host.n_connections == 1 for host in pool.executor.hosts)

    def impatient(self) -> dict[str, Any]:
        """Return options by which every time to wait is shorter than 10 seconds, but for a worker's start."""
        return {"idle_timeout": 3.0}

    def test_fault_07_the_client_holds_the_lock(self) -> None:
        with self.pool(**self.impatient()) as pool:
            assert pool.submit(abs, -1).result(60) == 1
            future = pool.submit(time.sleep, 3)
            time.sleep(0.5)
            hold_the_lock(10)
            future.result(60)
            assert_same_scores(Search().fit(*data()))
            assert pool.n_retries == 0
            assert all(host.n_connections == 1 for host in pool.executor.hosts)

    # --- what tasks do

    def test_fault_09_a_worker_writes_much_to_stderr(self, tmp_path: Path) -> None:
        def chat() -> None:
            line = b"x" * 1023 + b"\n"
            for _ in range(10 * 1024):
                os.write(2, line)

        with self.pool(1, logs=tmp_path / "logs") as pool:
            pool.submit(abs, 1).result(60)
            start = time.monotonic()
            assert_same_scores(Search(sabotaged(once(tmp_path / "done", chat))).fit(*data()))
            assert time.monotonic() - start < 30
            assert pool.n_retries == 0
        assert sum(path.stat().st_size for path in (tmp_path / "logs").iterdir()) >= 10 << 20

    def test_fault_14_a_fit_fails_under_raise(self, tmp_path: Path) -> None:
        def work(me: int) -> None:
            if me == 0:
                raise ZeroDivisionError("early")
            time.sleep(0.5)
            (tmp_path / str(me)).touch()

        with self.pool() as pool:
            [future.result(60) for future in [pool.submit(abs, 1) for _ in range(4)]]
            with pytest.raises(ZeroDivisionError, match="early"):
                joblib.Parallel()(joblib.delayed(work)(i) for i in range(12))
            time.sleep(2.0)
            assert len(list(tmp_path.iterdir())) <= 2
            assert_same_scores(Search().fit(*data()))

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
    @pytest.mark.filterwarnings("ignore:One or more of the test scores")
    def test_fault_15_a_fit_takes_too_long(self, tmp_path: Path) -> None:
        def hang() -> None:
            with open(tmp_path / "pids", "a") as file:
                file.write(f"{os.getpid()}\n")
            re.match(r"(a+)+$", "a" * 60 + "b")

        with self.pool(1, task_timeout=2.0) as pool:
            # the start of a worker, and its imports, take longer than that on a busy machine
            start = time.monotonic()
            fitted = grid_search(sabotaged(hang, KNeighborsClassifier), error_score=-1.0).fit(*data())
            assert time.monotonic() - start < 60
            assert_same_scores(fitted, but=VICTIM)
            assert (scores(fitted)[CANDIDATES.index(VICTIM)] == -1).all()
            pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
            assert len(pids) == 1  # it is not tried again
            wait_until_gone(*pids)
            assert pool.n_retries == 0
            with pytest.raises(TaskTimeoutError, match="task_timeout=2 seconds"):
                Search(sabotaged(hang)).fit(*data())

    def test_fault_18_what_cannot_be_pickled(self) -> None:
        with self.pool(1) as pool:
            for future in (pool.submit(id, threading.Lock()), pool.submit(threading.Lock)):
                error = future.exception(60)
                assert isinstance(error, TaskPicklingError)
                assert "lock" in str(error)
            with pytest.raises(TaskPicklingError, match="lock"):
                joblib.Parallel()([joblib.delayed(id)(threading.Lock()), joblib.delayed(abs)(1)])
            assert pool.n_retries == 0
            assert_same_scores(Search().fit(*data()))

    def test_fault_23_a_pool_of_one_worker(self) -> None:
        pids = set()

        class Telling(nearest()):  # type: ignore[misc]
            def score(self, X: Any, y: Any) -> float:
                return float(os.getpid())

        with self.pool(1) as pool:
            pids = set(scores(Search(Telling).fit(*data())).ravel())
            assert pids == {pool.submit(os.getpid).result(60)}
        assert os.getpid() not in pids

    def test_fault_25_parallelism_inside_a_task_keeps_to_its_share(self, tmp_path: Path) -> None:
        class Nested(RandomForestClassifier):  # type: ignore[misc]
            def fit(self, X: Any, y: Any) -> Any:
                import threadpoolctl

                super().fit(X, y)
                with joblib.parallel_config(n_jobs=-1):
                    workers = set(joblib.Parallel()(joblib.delayed(os.getpid)() for _ in range(8)))
                sizes = [library["num_threads"] for library in threadpoolctl.threadpool_info()]
                self.seen_ = [len(workers), max(sizes, default=1), joblib.cpu_count()]
                return self

            def score(self, X: Any, y: Any) -> float:
                return float(max(self.seen_))

        with self.pool(threads_per_worker=1):
            nested = GridSearchCV(Nested(n_estimators=20, n_jobs=-1), {"max_depth": [2, 3]}, cv=2, refit=False)
            fitted = nested.fit(*data())
        assert (scores(fitted) == 1).all()


def agents(pool: Any) -> list[int]:
    """List the agents of a pool."""
    return [host.facts.pid for host in pool.executor.hosts]


def kill_when(condition: Callable[[], bool], pids: Callable[[], list[int]]) -> None:
    wait_until(condition, "it is time", 60)
    for pid in pids():
        os.kill(pid, signal.SIGKILL)


def parent_of(pid: int, generations: int) -> int:
    process = psutil.Process(pid)
    for _ in range(generations):
        process = process.parent()
    return int(process.pid)
