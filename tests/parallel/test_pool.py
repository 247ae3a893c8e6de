from __future__ import annotations

import concurrent.futures
import os
import subprocess
import sys
from pathlib import Path

import joblib
import pytest
from joblib.parallel import get_active_backend

import ffnn
from ffnn.exceptions import UnknownPluginError
from ffnn.executor import Executor
from ffnn.parallel.backend import FfnnBackend
from ffnn.parallel.pool import Pool

pytestmark = pytest.mark.timeout(120)


def pids(**options: object) -> set[int]:
    return set(joblib.Parallel(**options)(joblib.delayed(os.getpid)() for _ in range(4)))


def test_a_pool_is_an_executor_without_with() -> None:
    pool = ffnn.pool(n_workers=1)
    assert isinstance(pool, concurrent.futures.Executor)
    assert isinstance(pool.executor, Executor)
    assert pool.submit(abs, -1).result(60) == 1
    assert pids() == {os.getpid()}  # joblib is left alone
    pool.shutdown()
    assert pool.summary().startswith("1 task on 1 worker in ")


def test_joblib_uses_the_pool_inside_with_only() -> None:
    before = get_active_backend()[0]
    with ffnn.pool("multiprocessing", n_workers=2) as pool:
        assert isinstance(get_active_backend()[0], FfnnBackend)
        for n_jobs in (None, -1, 2):
            assert os.getpid() not in pids(n_jobs=n_jobs)
        assert pids(n_jobs=1) == {os.getpid()}
        assert pool.summary().startswith("12 tasks on 2 workers in ")
    assert type(get_active_backend()[0]) is type(before)
    with pytest.raises(RuntimeError):
        pool.submit(abs, 1)


def test_parallel_config_is_the_same_as_a_pool() -> None:
    with joblib.parallel_config("ffnn", executor="multiprocessing", n_workers=1):
        first = pids()
        assert first == pids(n_jobs=-1)  # the worker stays warm
    assert os.getpid() not in first


def test_a_backend_factory_gives_an_executor_a_name_in_joblib() -> None:
    factory = ffnn.make_backend_factory("multiprocessing", n_workers=1)
    joblib.register_parallel_backend("civis", factory)
    with joblib.parallel_backend("civis"):
        found = pids()
    assert len(found) == 1
    assert os.getpid() not in found


def test_a_concurrent_futures_executor_is_enough() -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as threads, ffnn.pool(threads) as pool:
        assert pids() == {os.getpid()}
        assert pool.submit(abs, -1).result(60) == 1


def test_an_exception_in_the_block_cancels_what_is_left(tmp_path: Path) -> None:
    def leave_early(pool: Pool, futures: list[concurrent.futures.Future[int]]) -> None:
        with pool:
            futures += [pool.submit(subprocess.call, ["sleep", "300"]) for _ in range(4)]
            raise ZeroDivisionError

    futures: list[concurrent.futures.Future[int]] = []
    with pytest.raises(ZeroDivisionError):
        leave_early(ffnn.pool(n_workers=2), futures)
    assert all(future.cancelled() for future in futures)


@pytest.mark.parametrize("make", [ffnn.pool, ffnn.make_backend_factory])
def test_bad_names_and_options_are_refused_at_once(make: object) -> None:
    assert callable(make)
    with pytest.raises(UnknownPluginError, match="Did you mean 'multiprocessing'"):
        make("multiprocesing")
    with pytest.raises(TypeError, match="'multiprocessing' has no option 'n_worker'. Did you mean 'n_workers'"):
        make("multiprocessing", n_worker=2)
    with pytest.raises(ValueError, match="n_workers must be at least 1; got 0"):
        make("multiprocessing", n_workers=0)
    with pytest.raises(TypeError, match="executor must be a registered executor's name .* got 3 of type int"):
        make(3)


def test_more_bad_values() -> None:
    with pytest.raises(TypeError, match="progress must be True, False, None or 'live'; got 'yes'"):
        ffnn.pool(progress="yes")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="options .n_workers. are for an executor given by its name"):
        ffnn.pool(concurrent.futures.ThreadPoolExecutor(1), n_workers=2)
    with ffnn.pool(n_workers=1) as pool, pytest.raises(RuntimeError, match="already entered"):
        pool.__enter__()


def test_no_engine_is_imported() -> None:
    script = """
import sys, ffnn
with ffnn.pool(n_workers=1) as pool:
    found = pool.submit(lambda: sorted(__import__("sys").modules)).result()
for modules in (sys.modules, found):
    assert not {"tensorflow", "keras", "torch", "jax", "sklearn"} & set(modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
