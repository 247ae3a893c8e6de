"""The conformance suite of executors.

A plugin's test module defines how an executor is made; pytest does the rest::

    from ffnn.testing.executors import ExecutorSuite


    class TestMine(ExecutorSuite):
        def make(self, n_workers):
            return MyExecutor(n_workers=n_workers)

The workers must be able to import this module.
"""

from __future__ import annotations

import concurrent.futures
import os
import signal
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from ffnn.exceptions import TaskFailedError, TaskPicklingError, WorkerDiedError
from ffnn.executor import Executor
from ffnn.parallel.pool import pool
from ffnn.testing import _tasks as tasks
from ffnn.testing._base import Suite

__all__ = ["ExecutorSuite"]


class ExecutorSuite(Suite):
    """Tests that every executor must pass, on this machine or on others that share its file system.

    Attributes
    ----------
    same_machine : bool
        Whether the workers are processes of this machine, so that their ids are valid here.
    n_tries : int
        The maximum number of times that the executors of :meth:`make` start a task whose worker dies.
    patience : float
        The seconds to wait for a task, including the start of its worker.
    """

    same_machine = True
    n_tries = 3
    patience: float = 60.0

    def make(self, n_workers: int) -> Executor:
        """Make an executor with ``n_workers`` workers; to be implemented."""
        raise NotImplementedError

    @classmethod
    def _mistakes(cls) -> Iterator[str]:
        if cls.make is ExecutorSuite.make:
            example = "def make(self, n_workers):\n        return MyExecutor(n_workers)"
            yield cls._lacks("make", "a method that makes an executor with that number of workers", example)

    @pytest.fixture
    def executor(self) -> Iterator[Executor]:
        """An executor with two workers, shut down after the test."""
        executor = self.make(2)
        yield executor
        executor.shutdown(cancel_futures=True)

    @pytest.fixture
    def processes(self) -> None:
        """Skip what only processes can do: tasks in this process are not pickled, and cannot be ended."""
        if self.make(1).in_process:
            pytest.skip("its tasks run in this process")

    def test_results_come_back(self, executor: Executor) -> None:
        assert isinstance(executor, Executor)
        assert executor.n_workers == 2
        assert executor.submit(divmod, 7, 3).result(self.patience) == (2, 1)
        assert list(executor.map(pow, range(20), [2] * 20, timeout=self.patience)) == [i**2 for i in range(20)]
        assert executor.submit(dict, a=1).result(self.patience) == {"a": 1}
        # a function that can only travel by its value
        factor = 3
        assert executor.submit(lambda x: x * factor, 2).result(self.patience) == 6
        # a large array, which must be writable there and here
        array = np.arange(1_000_000.0).reshape(1000, 1000)
        expected = array + 1
        back = executor.submit(tasks.incremented, array).result(self.patience)
        np.testing.assert_array_equal(back, expected)
        back[0, 0] = 0
        assert executor.n_retries == 0

    def test_exceptions_come_back(self, executor: Executor) -> None:
        error = executor.submit(tasks.fail, "as it should").exception(self.patience)
        assert isinstance(error, ZeroDivisionError)
        assert str(error) == "as it should"
        assert "in fail" in "".join(traceback.format_exception(error))
        # the end of the program is only an error
        error = executor.submit(tasks.exit).exception(self.patience)
        assert isinstance(error, TaskFailedError)
        assert "SystemExit" in str(error)
        assert executor.n_retries == 0

    @pytest.mark.usefixtures("processes")
    def test_what_cannot_be_pickled_is_refused(self, executor: Executor) -> None:
        error = executor.submit(tasks.fail_unpicklably).exception(self.patience)
        assert isinstance(error, TaskFailedError)
        assert "Unpicklable" in str(error)
        for future in (executor.submit(print, threading.Lock()), executor.submit(threading.Lock)):
            error = future.exception(self.patience)
            assert isinstance(error, TaskPicklingError)
            assert "lock" in str(error)
        assert executor.n_retries == 0

    def test_one_worker_works_elsewhere(self) -> None:
        executor = self.make(1)
        with pool(executor, progress=False) as one:
            places = set(joblib.Parallel()(joblib.delayed(tasks.place)() for _ in range(4)))
            assert places == {one.submit(tasks.place).result(self.patience)}
        ((pid, thread),) = places
        assert (pid == os.getpid()) == executor.in_process
        assert (pid, thread) != tasks.place()

    def test_two_workers_work_at_the_same_time(self, executor: Executor, tmp_path: Path) -> None:
        futures = [executor.submit(tasks.meet, tmp_path, me, 1 - me, self.patience) for me in (0, 1)]
        assert [future.result(self.patience) for future in futures] == [True, True]
        # parallelism inside a task stays inside it
        assert executor.submit(tasks.nested).result(self.patience) == 1

    @pytest.mark.usefixtures("processes")
    def test_a_worker_that_dies_once_costs_nothing(self, executor: Executor, tmp_path: Path) -> None:
        others = [executor.submit(abs, -i) for i in range(8)]
        assert executor.submit(tasks.die_once, tmp_path / "died").result(self.patience) == "alive"
        assert [future.result(self.patience) for future in others] == list(range(8))
        assert executor.n_retries == 1

    @pytest.mark.usefixtures("processes")
    def test_a_task_that_always_kills_its_worker_fails_alone(self, executor: Executor, tmp_path: Path) -> None:
        poison = executor.submit(tasks.die, tmp_path / "tries")
        others = [executor.submit(abs, -i) for i in range(8)]
        error = poison.exception(self.patience)
        assert isinstance(error, WorkerDiedError)
        assert error.worker  # an attribute, so that equal deaths have equal messages
        assert error.exit_code == -signal.SIGKILL
        assert "SIGKILL" in str(error)
        assert (tmp_path / "tries").read_text() == "x" * self.n_tries
        assert [future.result(self.patience) for future in others] == list(range(8))

    @pytest.mark.usefixtures("processes")
    def test_a_task_is_cancelled_before_it_runs_and_while_it_does(self, executor: Executor, tmp_path: Path) -> None:
        running = [executor.submit(tasks.sleep, tmp_path / str(i)) for i in range(2)]
        queued = executor.submit(tasks.sleep, tmp_path / "2")
        tasks.wait_for(lambda: all((tmp_path / str(i)).exists() for i in range(2)), self.patience)
        assert all(future.running() for future in running)
        called: list[Any] = []
        for future in (queued, *running):
            future.add_done_callback(called.append)
            assert future.cancel()
            assert future.cancelled()
            assert future.done()
            with pytest.raises(concurrent.futures.CancelledError):
                future.result(10)
            with pytest.raises(concurrent.futures.CancelledError):
                future.exception(10)
        assert called == [queued, *running]
        assert executor.submit(abs, -1).result(self.patience) == 1
        assert not (tmp_path / "2").exists()
        if self.same_machine:
            for i in range(2):
                tasks.wait_for(lambda i=i: tasks.gone(int((tmp_path / str(i)).read_text())), self.patience)

    def test_a_task_that_waits_is_cancelled_and_never_runs(self, executor: Executor, tmp_path: Path) -> None:
        running = [executor.submit(tasks.meet, tmp_path, i, 9, self.patience) for i in range(2)]
        tasks.wait_for(lambda: all((tmp_path / str(i)).exists() for i in range(2)), self.patience)
        queued = executor.submit(tasks.meet, tmp_path, 2, 2, self.patience)
        assert queued.cancel()
        (tmp_path / "9").touch()
        assert [future.result(self.patience) for future in running] == [True, True]
        assert executor.submit(abs, -1).result(self.patience) == 1
        assert not (tmp_path / "2").exists()

    @pytest.mark.usefixtures("processes")
    def test_shutdown_leaves_nothing(self, tmp_path: Path) -> None:
        executor = self.make(2)
        futures = [executor.submit(tasks.sleep, tmp_path / str(i)) for i in range(3)]
        tasks.wait_for(lambda: all((tmp_path / str(i)).exists() for i in range(2)), self.patience)
        executor.shutdown(cancel_futures=True)
        executor.shutdown()
        assert all(future.cancelled() for future in futures)
        with pytest.raises(RuntimeError, match="shut down"):
            executor.submit(abs, 1)
        if self.same_machine:
            assert all(tasks.gone(int((tmp_path / str(i)).read_text())) for i in range(2))

    def test_what_a_task_sends_arrives_in_order(self, executor: Executor) -> None:
        if not executor.has_events:
            pytest.skip("it has no events")
        heard: list[tuple[str, Any]] = []
        future = executor.submit(tasks.send_events)
        future.on_event(lambda kind, payload: heard.append((kind, payload)))
        assert future.result(60) == "sent"
        tasks.wait_for(lambda: heard[-1:] == [("last", None)])
        assert [payload["n"] for kind, payload in heard if kind == "each"] == list(range(50))
        latest = [payload for kind, payload in heard if kind == "latest"]
        assert latest == sorted(latest)
        assert latest[-1] == 999
        assert len(latest) < 100

    def test_shutdown_waits_for_what_was_submitted(self) -> None:
        executor = self.make(2)
        futures = [executor.submit(abs, -i) for i in range(4)]
        executor.shutdown(wait=False)
        assert [future.result(self.patience) for future in futures] == list(range(4))
        executor.shutdown()

    def test_bad_counts_are_refused(self) -> None:
        for bad, error in ((0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError), (True, TypeError)):
            with pytest.raises(error, match=rf"n_workers must be .*got {bad!r}"):
                self.make(bad)  # type: ignore[arg-type]  # the bad argument

    def test_a_grid_search_gives_the_scores_of_the_sequential_one(self) -> None:
        sequential = tasks.search().fit(*tasks.data())
        with pool(self.make(2), progress=False):
            both = [tasks.search(n_jobs=n_jobs).fit(*tasks.data()) for n_jobs in (None, -1)]
        for distributed in both:
            for split in range(2):
                key = f"split{split}_test_score"
                np.testing.assert_array_equal(distributed.cv_results_[key], sequential.cv_results_[key])

    @pytest.mark.usefixtures("processes")
    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
    @pytest.mark.filterwarnings("ignore:One or more of the test scores")
    def test_a_candidate_that_kills_its_worker_gets_the_error_score(self) -> None:
        with pool(self.make(2), progress=False):
            search = tasks.search(poison=True, error_score=-1.0, refit=False).fit(*tasks.data())
            scores = search.cv_results_["mean_test_score"]
            assert scores[1] == -1
            assert scores[0] > 0.5
            assert scores[2] > 0.5
            with pytest.raises(WorkerDiedError, match="SIGKILL"):
                tasks.search(poison=True, error_score="raise").fit(*tasks.data())

    def test_an_exception_cancels_what_is_left(self, tmp_path: Path) -> None:
        executor = self.make(2)
        with pool(executor, progress=False) as two:
            calls = [joblib.delayed(tasks.fail)("early")]
            seconds = 1 if executor.in_process else 300  # what cannot be ended is waited for
            calls += [joblib.delayed(tasks.sleep)(tmp_path / str(i), seconds) for i in range(12)]
            with pytest.raises(ZeroDivisionError, match="early"):
                joblib.Parallel()(calls)
            assert two.submit(abs, -1).result(self.patience) == 1
            assert len(list(tmp_path.iterdir())) <= 2
