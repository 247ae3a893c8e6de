"""Each test of the suite of executors fails for an executor that is broken in that way."""

from __future__ import annotations

import concurrent.futures
import inspect
import time

import pytest

from ffnn.exceptions import ExecutorError, WorkerDiedError
from ffnn.executor import Executor, Future, Task
from ffnn.testing.executors import ExecutorSuite
from ffnn_plugins.executors.multiprocessing import MultiprocessingExecutor
from ffnn_plugins.executors.threads import ThreadsExecutor
from tests.support.broken import Broken, clauses


class Here(Executor):
    """Runs tasks at once, in the thread that submits them."""

    in_process = True
    n_workers = 1

    def __init__(self, n_workers):
        pass

    def _start(self, task, future):
        if future.set_running_or_notify_cancel():
            try:
                future.settle(task())
            except Exception as error:
                future.fail(error)


class Threads(ThreadsExecutor):
    """Threads, with ``run(task)`` in the place of ``task()``."""

    def run(self, task):
        return task()

    def _start(self, task, future):
        super()._start(Task(self.run, (task,)), future)


class LosesResults(Threads):
    def run(self, task):
        task()


class ReturnsErrors(Threads):
    def run(self, task):
        try:
            return task()
        except BaseException as error:
            return error


class ForgetsEvents(Threads):
    """Hands on the last payload of a kind in the place of each."""

    def _start(self, task, future):
        listen = future.on_event
        future.on_event = lambda heard: listen(lambda kind, what: heard(kind, {"n": 49} if kind == "each" else what))
        super()._start(task, future)


class PicklesNothing(Threads):
    in_process = False


class OneThread(Threads):
    """Claims as many workers as it was asked for, and has one."""

    def __init__(self, n_workers):
        super().__init__(1)
        self.claimed = n_workers

    @property
    def n_workers(self):
        return self.claimed


class TriesOnce(MultiprocessingExecutor):
    def __init__(self, n_workers):
        super().__init__(n_workers, max_retries=0)


class Denying(Future):
    def cancelled(self):
        return False


class DeniesThatItCancelled(MultiprocessingExecutor):
    def submit(self, fn, /, *args, **kwargs):
        future = super().submit(fn, *args, **kwargs)
        future.__class__ = Denying
        return future


def passed_on_to(future, error=None):
    """Return another future, whose result is passed on; its exception, too, unless one is given for it."""

    def pass_on(done):
        if future.set_running_or_notify_cancel():
            if done.exception():
                future.fail(error or done.exception())
            else:
                future.settle(done.result())

    other = Future()
    other.add_done_callback(pass_on)
    return other


class RunsWhatIsCancelled(Threads):
    def run(self, task):
        time.sleep(0.2)  # until several are submitted
        return task()

    def _start(self, task, future):
        super()._start(task, passed_on_to(future))


class TakesTasksAfterwards(MultiprocessingExecutor):
    def submit(self, fn, /, *args, **kwargs):
        try:
            return super().submit(fn, *args, **kwargs)
        except RuntimeError:
            return Future()


class WaitsForNothing(Threads):
    def run(self, task):
        time.sleep(0.2)
        return task()

    def shutdown(self, wait=True, *, cancel_futures=False):
        super().shutdown(wait, cancel_futures=True)


class TakesAnyCount(Threads):
    def __init__(self, n_workers):
        super().__init__(2)


class WrongScores(Threads):
    def run(self, task):
        found = task()
        for result in found if isinstance(found, list) else ():
            result["test_scores"] = 0.5
        return found


class OtherDeaths(TriesOnce):
    """Reports a death by an error that says nothing of a worker."""

    def _start(self, task, future):
        super()._start(task, passed_on_to(future, RuntimeError("lost")))


BROKEN = [
    Broken(LosesResults, "test_results_come_back"),
    Broken(ReturnsErrors, "test_exceptions_come_back"),
    Broken(PicklesNothing, "test_what_cannot_be_pickled_is_refused"),
    Broken(Here, "test_one_worker_works_elsewhere"),
    Broken(OneThread, "test_two_workers_work_at_the_same_time", (), (ExecutorError, TimeoutError)),
    Broken(TriesOnce, "test_a_worker_that_dies_once_costs_nothing", (), WorkerDiedError),
    Broken(TriesOnce, "test_a_task_that_always_kills_its_worker_fails_alone"),
    Broken(DeniesThatItCancelled, "test_a_task_is_cancelled_before_it_runs_and_while_it_does"),
    Broken(RunsWhatIsCancelled, "test_a_task_that_waits_is_cancelled_and_never_runs"),
    Broken(TakesTasksAfterwards, "test_shutdown_leaves_nothing"),
    Broken(ForgetsEvents, "test_what_a_task_sends_arrives_in_order"),
    Broken(WaitsForNothing, "test_shutdown_waits_for_what_was_submitted", (), concurrent.futures.CancelledError),
    Broken(TakesAnyCount, "test_bad_counts_are_refused"),
    Broken(WrongScores, "test_a_grid_search_gives_the_scores_of_the_sequential_one"),
    Broken(OtherDeaths, "test_a_candidate_that_kills_its_worker_gets_the_error_score", (), RuntimeError),
    Broken(RunsWhatIsCancelled, "test_an_exception_cancels_what_is_left"),
]


def test_there_is_a_broken_executor_for_each_test():
    assert {broken.clause for broken in BROKEN} == clauses(ExecutorSuite)


@pytest.mark.parametrize("broken", BROKEN, ids=repr)
def test_a_broken_executor_is_found_out(broken, tmp_path):
    class Suite(ExecutorSuite):
        patience = 1.0 if broken.plugin is OneThread else 60.0

        def make(self, n_workers):
            return broken.plugin(n_workers)

    executor = Suite().make(2)
    test = getattr(Suite(), broken.clause)
    given = {"executor": executor, "tmp_path": tmp_path}
    named = {name: given[name] for name in inspect.signature(test).parameters}
    try:
        with pytest.raises(broken.error):
            test(**named)
    finally:
        executor.shutdown(cancel_futures=True)
