"""What every executor has from its base class, on the smallest executors that there are."""

from __future__ import annotations

import concurrent.futures
import gc
import threading
import weakref
from typing import Any

import pytest

from ffnn.executor import Executor, Future, Task

pytestmark = pytest.mark.timeout(60)


class Here(Executor):
    """Runs each task where it stands: the example in the module's docstring."""

    n_workers = 1

    def _start(self, task: Task, future: Future[Any]) -> None:
        if future.set_running_or_notify_cancel():
            try:
                future.settle(task())
            except Exception as error:
                future.fail(error)


class Never(Executor):
    """Keeps what it is given; its tasks run until they are cancelled."""

    n_workers = 2

    def __init__(self, running: bool) -> None:
        self.running = running
        self.ended: list[str] = []
        self.stopped: list[bool] = []

    def _start(self, task: Task, future: Future[Any]) -> None:
        if self.running:
            future.set_running_or_notify_cancel()
            future.on_cancel(lambda: self.ended.append(task.name))

    def _stop(self, wait: bool) -> None:
        self.stopped.append(wait)


def test_two_members_are_enough() -> None:
    with Here() as here:
        assert here.submit(divmod, 7, 3).result() == (2, 1)
        assert list(here.map(abs, [-1, -2])) == [1, 2]
        assert here.submit(dict, a=1).result() == {"a": 1}
        assert isinstance(here.submit(int, "x").exception(), ValueError)
        assert here.n_retries == 0
    with pytest.raises(RuntimeError, match="cannot submit to a Here that was shut down: make another"):
        here.submit(abs, 1)


@pytest.mark.parametrize("running", [False, True])
def test_what_is_not_done_can_be_cancelled(running: bool) -> None:
    executor = Never(running)
    future = executor.submit(abs, 1)
    called: list[object] = []
    future.add_done_callback(called.append)
    assert future.running() is running
    assert future.cancel()
    assert future.cancel()
    assert future.cancelled()
    assert future.done()
    assert called == [future]
    assert executor.ended == (["abs"] if running else [])
    for wait in (future.result, future.exception):
        with pytest.raises(concurrent.futures.CancelledError):
            wait(0)
    assert not future.settle(1)  # too late
    assert not future.fail(ValueError())


def test_who_waits_for_a_running_task_hears_that_it_is_cancelled() -> None:
    future = Never(True).submit(abs, 1)
    threading.Timer(0.1, future.cancel).start()
    assert concurrent.futures.wait([future], 30).done == {future}


def test_a_task_that_nobody_can_end_is_not_cancelled() -> None:
    future: Future[int] = Future()
    future.set_running_or_notify_cancel()
    assert not future.cancel()
    assert not future.cancelled()
    assert future.settle(1)
    assert not future.cancel()
    assert future.exception() is None


@pytest.mark.parametrize("running", [False, True])
def test_shutdown_cancels_if_asked_to(running: bool) -> None:
    executor = Never(running)
    futures = [executor.submit(abs, 1) for _ in range(3)]
    executor.shutdown(wait=False)
    assert not any(future.done() for future in futures)
    executor.shutdown(cancel_futures=True)
    assert all(future.cancelled() for future in futures)
    assert executor.stopped == [False, True]


def test_an_exception_in_the_block_cancels() -> None:
    executor = Never(True)
    future = executor.submit(abs, 1)

    def leave() -> None:
        with executor:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        leave()
    assert future.cancelled()


def test_a_finished_future_is_not_kept() -> None:
    here = Here()
    future = weakref.ref(here.submit(abs, 1))
    gc.collect()
    assert future() is None
