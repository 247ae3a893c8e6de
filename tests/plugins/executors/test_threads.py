from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info

import ffnn
from ffnn import MLPClassifier
from ffnn._utils.threads import _n_threads
from ffnn.testing.executors import ExecutorSuite
from ffnn_plugins.executors.threads import ThreadsExecutor

pytestmark = pytest.mark.timeout(120)

GRID = {"learning_rate": [1e-3, 1e-2], "hidden_units": [(4,), (6, 3)]}


class TestThreads(ExecutorSuite):
    def make(self, n_workers: int) -> ThreadsExecutor:
        return ThreadsExecutor(n_workers)


def search(**options: object) -> GridSearchCV:
    mlp = MLPClassifier(n_epochs=3, builder="native", random_state=0)
    return GridSearchCV(mlp, GRID, cv=3, **options)


def data() -> tuple[np.ndarray, np.ndarray]:
    y = np.arange(90) % 3
    return np.random.default_rng(0).normal(size=(90, 4)) + y[:, None], y


def test_a_search_of_networks_has_the_scores_of_the_sequential_one_and_starts_no_process() -> None:
    expected = search().fit(*data())
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    before = sorted(path.read_text() for path in children)
    with ffnn.pool("threads", n_workers=2, progress=False):
        found = search().fit(*data())
        during = sorted(path.read_text() for path in Path(f"/proc/{os.getpid()}/task").glob("*/children"))
    assert set("".join(during).split()) == set("".join(before).split())
    for name in expected.cv_results_:
        if name.endswith("_score"):
            np.testing.assert_array_equal(found.cv_results_[name], expected.cv_results_[name])
    assert found.best_params_ == expected.best_params_


def test_tasks_get_the_objects_themselves() -> None:
    lock = threading.Lock()
    with ThreadsExecutor(1) as executor:
        assert executor.submit(lambda given: given, lock).result(60) is lock


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def openmp_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "openmp"}


@pytest.mark.parametrize(
    ("n_workers", "threads_per_worker", "share"),
    [(joblib.cpu_count(), None, 1), (4 * joblib.cpu_count(), None, 1), (1, 3, 3), (1, None, joblib.cpu_count())],
)
def test_workers_share_the_cpus(n_workers: int, threads_per_worker: int | None, share: int) -> None:
    before = blas_threads(), openmp_threads(), _n_threads()
    with ThreadsExecutor(n_workers, threads_per_worker=threads_per_worker) as executor:
        assert executor.submit(_n_threads).result(60) == min(share, 4)
        assert executor.submit(blas_threads).result(60) == {share}
        assert executor.submit(openmp_threads).result(60) <= {share}
        assert _n_threads() == before[2]
    assert (blas_threads(), openmp_threads(), _n_threads()) == before


@pytest.mark.parametrize("first_ends_first", [True, False])
def test_several_at_once_leave_blas_as_it_was(first_ends_first: bool) -> None:
    before = blas_threads()
    first, second = ThreadsExecutor(1, threads_per_worker=3), ThreadsExecutor(1, threads_per_worker=2)
    assert first.submit(blas_threads).result(60) == {3}
    assert second.submit(blas_threads).result(60) == first.submit(blas_threads).result(60) == {2}
    ends, stays = (first, second) if first_ends_first else (second, first)
    ends.shutdown()
    assert stays.submit(blas_threads).result(60) == {2 if first_ends_first else 3}
    stays.shutdown()
    assert blas_threads() == before


def test_nothing_starts_before_the_first_task_and_nothing_is_left_after_the_last() -> None:
    before = threading.active_count()
    executor = ThreadsExecutor(3)
    assert threading.active_count() == before
    assert executor.submit(threading.active_count).result(60) > before
    executor.shutdown()
    assert threading.active_count() == before
    with pytest.raises(RuntimeError, match="shut down"):
        executor.submit(abs, 1)


def test_what_runs_is_waited_for_and_what_waits_is_dropped(tmp_path: Path) -> None:
    executor = ThreadsExecutor(1)
    begun, go = threading.Event(), threading.Event()

    def first() -> str:
        begun.set()
        go.wait(60)
        return "done"

    running, queued = executor.submit(first), executor.submit((tmp_path / "ran").touch)
    assert begun.wait(60)
    assert not running.cancel()
    threading.Timer(0.2, go.set).start()
    executor.shutdown(cancel_futures=True)
    assert running.result(0) == "done"
    assert queued.cancelled()
    assert not (tmp_path / "ran").exists()


def test_the_time_of_a_task_is_known() -> None:
    with ThreadsExecutor(1) as executor:
        future = executor.submit(time.sleep, 0.2)
        future.result(60)
        assert future.seconds is not None
        assert 0.2 <= future.seconds < 20


CTRL_C = """
import os, signal, threading, time
import joblib, ffnn

def slow(i):
    if i == 1:
        time.sleep(0.2)  # until the main thread waits, and starts no thread any more
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.5)
    ran.append(i)

ran = []
try:
    with ffnn.pool("threads", n_workers=2, progress=False):
        joblib.Parallel()(joblib.delayed(slow)(i) for i in range(100))
except KeyboardInterrupt:
    print("interrupted", len(ran) < 20, threading.active_count())
"""


def test_ctrl_c_drops_what_has_not_begun() -> None:
    done = subprocess.run([sys.executable, "-c", CTRL_C], capture_output=True, text=True, timeout=100)
    assert done.stdout == "interrupted True 1\n", done.stderr


def test_unknown_options_are_refused() -> None:
    with pytest.raises(TypeError, match="threads_per_worker"):
        ffnn.pool("threads", threads=2)
    with pytest.raises(ValueError, match="threads_per_worker must be at least 1; got 0"):
        ThreadsExecutor(threads_per_worker=0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_has_its_own_limits_whatever_another_thread_does_meanwhile():
    code = """if True:
        import os, threading, numpy, ffnn
        from threadpoolctl import threadpool_info
        from ffnn_plugins.executors import threads

        def n_threads():
            return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]

        before = n_threads()
        with ffnn.pool("threads", n_workers=2, threads_per_worker=3, progress=False) as pool:
            assert pool.submit(abs, -1).result(60) == 1
            held, done = threading.Event(), threading.Event()

            def hold():  # as a thread that starts another pool does
                with threads._blas._lock:
                    held.set()
                    done.wait(60)

            other = threading.Thread(target=hold)
            other.start()
            held.wait(60)
            child = os.fork()
            if child == 0:
                assert n_threads() == before, (n_threads(), before)
                with ffnn.pool("threads", n_workers=1, progress=False) as own:
                    assert own.submit(abs, -2).result(60) == 2
                os._exit(3)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
            done.set()
            other.join()
        print("held")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100)
    assert done.stdout == "held\n", done.stderr
