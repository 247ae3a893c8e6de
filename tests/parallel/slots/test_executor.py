"""Slots on several hosts, each of them this machine; what one executor of this machine shows is tested with it."""

from __future__ import annotations

import concurrent.futures
import gc
import os
import signal
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ffnn.exceptions import HostError, HostWarning, WorkerDiedError, WorkerStartError
from ffnn.executor import Task
from ffnn.parallel.hosts import breaker
from ffnn.parallel.hosts.connection import Connection
from ffnn.parallel.hosts.provisioner import Provisioner
from ffnn.parallel.hosts.shipping import DataChangedError
from ffnn.parallel.slots.executor import SlotExecutor
from ffnn.parallel.tasks.store import Hashes
from ffnn.parallel.tasks.task import pack_task
from ffnn.testing import _tasks as tasks
from tests.support.agents import Plain, wait_until, wait_until_gone

pytestmark = pytest.mark.timeout(90)

Make = Callable[..., SlotExecutor]


@pytest.fixture(autouse=True)
def short_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "_BACK_OFF", 0.05)
    monkeypatch.setattr(breaker, "_REST", 2.0)


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[SlotExecutor] = []

    def make(*hosts: Provisioner, **options: Any) -> SlotExecutor:
        made.append(SlotExecutor(hosts, **options))
        return made[-1]

    yield make
    for executor in made:
        executor.shutdown(cancel_futures=True)


def where() -> str:
    """Name the host of a worker: its store's folder is below its agent's."""
    return Path(os.environ["FFNN_STORE"]).parents[1].name


def alpha_and_beta(tmp_path: Path, **options: Any) -> tuple[Plain, Plain]:
    hosts = []
    for name in ("alpha", "beta"):
        (tmp_path / name).mkdir()
        hosts.append(Plain(name, folder=tmp_path / name, **options))
    return hosts[0], hosts[1]


def test_first_tasks_meet_every_host(make: Make, tmp_path: Path) -> None:
    def meet(me: int, n: int) -> str:
        (tmp_path / f"{me}.here").touch()
        tasks.wait_for(lambda: len(list(tmp_path.glob("*.here"))) == n)
        return where()

    executor = make(*alpha_and_beta(tmp_path, n_workers=2))
    assert executor.n_workers == 4
    futures = [executor.submit(meet, i, 4) for i in range(4)]
    assert sorted(future.result(60) for future in futures) == ["alpha", "alpha", "beta", "beta"]
    assert executor.bytes_sent == sum(host.bytes_sent for host in executor.hosts) > 0


@pytest.mark.parametrize("prepared", [False, True])
def test_a_host_that_cannot_be_reached_is_left_out(prepared: bool, make: Make, tmp_path: Path) -> None:
    alpha, beta = alpha_and_beta(tmp_path)
    beta.broken = range(100)
    executor = make(alpha, beta)
    said = r"(?s)host beta: .*out of order\nThe other hosts (go on|are still being tried)\."
    with pytest.warns(HostWarning, match=said):  # noqa: PT031
        if prepared:
            executor.prepare()
        assert {executor.submit(where).result(60) for _ in range(4)} == {"alpha"}
        wait_until(lambda: beta.agents, "beta was tried")


def test_it_works_again_after_its_rest(make: Make, tmp_path: Path) -> None:
    alpha, beta = alpha_and_beta(tmp_path)
    beta.broken = {0}
    executor = make(alpha, beta)
    with pytest.warns(HostWarning):
        executor.prepare()
    until = time.monotonic() + 60
    while {future.result(60) for future in [executor.submit(where) for _ in range(4)]} != {"alpha", "beta"}:
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize("min_workers", [1, 2])
def test_too_few_workers_are_an_error_that_lists_every_host(
    prepared: bool, min_workers: int, make: Make, tmp_path: Path
) -> None:
    alpha, beta = alpha_and_beta(tmp_path)
    alpha.broken = range(100) if min_workers == 1 else ()
    beta.broken = range(100)
    executor = make(alpha, beta, min_workers=min_workers)

    def work_until_refused() -> None:
        while True:  # the first tasks may be done before beta is known to be out of order
            concurrent.futures.wait(futures := [executor.submit(where) for _ in range(2)])
            for future in futures:
                future.result()

    # in a thread, so that a failure is one, not a hang
    with concurrent.futures.ThreadPoolExecutor(1) as pool, warnings.catch_warnings(record=True) as caught:
        error = pool.submit(executor.prepare if prepared else work_until_refused).exception(60)
    if min_workers == 1:  # none is left that could go on
        assert not any("go on" in str(warning.message) for warning in caught)
    assert isinstance(error, HostError)
    assert "- host beta: the agent ended with exit code 9" in str(error)
    if min_workers == 2:
        assert str(error).startswith("1 worker is left, fewer than min_workers=2:")
    else:
        assert str(error).startswith("no host is left")
        assert "- host alpha: the agent ended with exit code 9" in str(error)
    if prepared:
        with pytest.raises(RuntimeError, match="shut down"):
            executor.submit(where)
    else:
        assert str(executor.submit(where).exception(10)) == str(error)  # there will never be enough


def test_when_every_host_is_lost_for_good_what_waits_fails(make: Make) -> None:
    plain = Plain()
    plain.broken = range(1, 100)
    executor = make(plain)
    assert executor.submit(abs, -1).result(60) == 1
    os.kill(plain.agents[0].pid, signal.SIGKILL)
    error = executor.submit(abs, -1).exception(60)
    assert isinstance(error, HostError)
    assert "out of order" in str(error)
    # until it can be reached again: nobody has to make another pool
    plain.broken = ()
    time.sleep(2.1)
    assert executor.submit(abs, -2).result(60) == 2


def test_a_host_that_is_lost_under_its_tasks_is_started_again(make: Make, tmp_path: Path) -> None:
    def kill_agent_once(agent: int) -> str:
        if not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            os.kill(agent, signal.SIGKILL)
            time.sleep(60)
        return "alive"

    plain = Plain(n_workers=2)
    executor = make(plain)
    executor.prepare()
    others = [executor.submit(time.sleep, 0.05) for _ in range(10)]
    assert executor.submit(kill_agent_once, plain.agents[0].pid).result(60) == "alive"
    concurrent.futures.wait(others)
    assert not any(other.exception() for other in others)
    assert len(plain.agents) == 2


def test_a_worker_that_can_never_start_is_a_named_error(make: Make) -> None:
    class Bad(Plain):
        python = "/no/such/python"

    error = make(Bad()).submit(abs, 1).exception(60)
    assert isinstance(error, WorkerStartError)
    assert "plain-0 ended with exit code 127 before it was ready" in str(error)
    assert "cannot run /no/such/python" in str(error)


def test_a_worker_that_is_killed_at_its_start_is_tried_again(make: Make, tmp_path: Path) -> None:
    script = f'if mkdir {tmp_path}/once; then kill -9 $$; fi; exec "$@"'

    class Unlucky(Plain):
        def command(self, slot: int, start: str, facts: Any) -> Any:
            command = super().command(slot, start, facts)
            return type(command)(["sh", "-c", script, "sh", *command.argv], command.environment)

    executor = make(Unlucky())
    assert executor.submit(abs, -1).result(60) == 1
    assert executor.n_retries == 0


def test_a_provisioner_that_cannot_say_its_command_is_a_named_error(make: Make) -> None:
    class Bad(Plain):
        def command(self, slot: int, start: str, facts: Any) -> Any:
            raise KeyError("no such image")

    error = make(Bad()).submit(abs, 1).exception(30)
    assert isinstance(error, HostError)
    assert "host plain" in str(error)
    assert "no such image" in str(error)


# --- data


def test_data_cross_once_to_a_host(make: Make, tmp_path: Path) -> None:
    data = np.random.default_rng(0).random(500_000)  # 4 MB
    alpha, beta = alpha_and_beta(tmp_path, n_workers=2)
    executor = make(alpha, beta)
    executor.prepare()
    before = [host.bytes_sent for host in executor.hosts]
    sums = [executor.submit(np.sum, data).result(60) for _ in range(3)]
    sums += [future.result(60) for future in [executor.submit(np.sum, data) for _ in range(16)]]
    assert set(sums) == {data.sum()}
    for host, sent in zip(executor.hosts, before, strict=True):
        assert host.bytes_sent - sent in (pytest.approx(4_000_000, rel=0.05), pytest.approx(0, abs=200_000))
    assert executor.bytes_sent - sum(before) > 3_900_000


def test_data_cross_again_to_a_new_agent(make: Make) -> None:
    data = np.random.default_rng(0).random(500_000)
    plain = Plain()
    executor = make(plain)
    assert executor.submit(np.sum, data).result(60) == data.sum()
    first = executor.bytes_sent
    os.kill(plain.agents[0].pid, signal.SIGKILL)  # the only holder of the data
    assert executor.submit(np.sum, data).result(60) == data.sum()
    assert executor.bytes_sent - first > 4_000_000


def test_data_that_a_host_has_lost_cross_again(make: Make) -> None:
    data = np.random.default_rng(0).random(500_000)
    executor = make(Plain())
    assert executor.submit(np.sum, data).result(60) == data.sum()
    for path in Path(executor.hosts[0].facts.store).iterdir():
        path.unlink()  # as one that tidies up temporary folders does
    assert executor.submit(np.sum, data).result(60) == data.sum()


def fill(host: Any) -> None:
    """Make a host's store one that takes nothing."""
    store = Path(host.facts.store)
    store.rename(f"{store}.gone")


def test_a_host_that_can_store_nothing_is_left_out_and_the_other_goes_on(make: Make, tmp_path: Path) -> None:
    data = np.random.default_rng(0).random(500_000)
    alpha, beta = alpha_and_beta(tmp_path)
    executor = make(alpha, beta)
    executor.prepare()
    fill(executor.hosts[1])
    with pytest.warns(HostWarning, match="host beta: 4.0 MB of data could not be stored"):  # noqa: PT031
        futures = [executor.submit(lambda data: (time.sleep(0.2), where())[1], data) for _ in range(8)]
        assert {future.result(60) for future in futures} == {"alpha"}
    assert len(beta.agents) == 1


def test_if_no_host_can_store_it_the_error_says_so(make: Make) -> None:
    executor = make(Plain())
    executor.prepare()
    fill(executor.hosts[0])
    error = executor.submit(np.sum, np.zeros(500_000)).exception(30)
    assert isinstance(error, HostError)
    assert "host plain: 4.0 MB of data could not be stored" in str(error)


# --- ends


def test_shutdown_without_waiting_lets_what_was_submitted_end(make: Make) -> None:
    plain = Plain()
    executor = make(plain)
    futures = [executor.submit(abs, -i) for i in range(4)]
    executor.shutdown(wait=False)
    assert not all(future.done() for future in futures)
    assert [future.result(60) for future in futures] == list(range(4))
    wait_until_gone(*(agent.pid for agent in plain.agents))


def test_shutdown_does_not_wait_for_a_host_that_does_not_answer(make: Make, tmp_path: Path) -> None:
    alpha, _ = alpha_and_beta(tmp_path)
    silent = Plain("silent", wrapper=["sleep", "300"], replace=True)
    executor = make(alpha, silent)
    futures = [executor.submit(where) for _ in range(4)]
    assert {future.result(60) for future in futures} == {"alpha"}
    wait_until(lambda: silent.agents, "it is tried")
    start = time.monotonic()
    executor.shutdown()
    assert time.monotonic() - start < 20
    assert all(agent.poll() is not None for agent in silent.agents)


def test_a_callback_may_shut_it_down(make: Make) -> None:
    executor = make(Plain())
    done = threading.Event()

    def end(future: Any) -> None:
        executor.shutdown()
        done.set()

    executor.submit(abs, 1).add_done_callback(end)
    assert done.wait(60)


def test_one_that_is_forgotten_while_it_works_ends_with_its_work() -> None:
    plain = Plain()
    executor = SlotExecutor([plain])
    future = executor.submit(time.sleep, 0.5)
    kept = weakref.ref(executor)
    del executor
    gc.collect()
    future.result(60)
    del future
    wait_until(lambda: kept() is None, "it is gone")
    wait_until_gone(plain.agents[0].pid)


def test_a_task_is_cancelled_while_it_waits_to_be_tried_again(make: Make, tmp_path: Path) -> None:
    plain = Plain()
    plain.broken = range(1, 100)
    executor = make(plain)
    future = executor.submit(tasks.sleep, tmp_path / "pid")
    tasks.wait_for((tmp_path / "pid").exists)
    os.kill(plain.agents[0].pid, signal.SIGKILL)
    wait_until(lambda: len(plain.agents) > 1, "the loss is noticed")
    assert future.cancel()
    plain.broken = ()
    time.sleep(2.1)
    (tmp_path / "pid").unlink()
    assert executor.submit(abs, -1).result(60) == 1
    assert not (tmp_path / "pid").exists()


def test_packed_tasks_are_passed_through(make: Make) -> None:
    from ffnn.executor import Task
    from ffnn.parallel.tasks.store import Hashes
    from ffnn.parallel.tasks.task import open_outcome, pack_task

    executor = make(Plain())
    packed = pack_task(Task(np.sum, (np.ones(500_000),)), "it", Hashes())
    message = executor.submit_packed("it", packed).result(60)
    assert open_outcome(message, "it")[1]() == 500_000
    poison = pack_task(Task(os._exit, (3,)), "it", Hashes())
    error = executor.submit_packed("poison", poison).exception(60)
    assert isinstance(error, WorkerDiedError)
    assert "poison" in str(error)


def test_what_workers_say_is_kept_where_it_should_be(make: Make, tmp_path: Path) -> None:
    executor = make(Plain("user/plain"), logs=tmp_path / "logs")
    executor.submit(os.write, 2, b"hello\n").result(60)
    wait_until(lambda: executor.logs("user/plain-0") == "hello\n", "it is written")
    executor.shutdown()
    assert [path.read_text() for path in (tmp_path / "logs").iterdir()] == ["hello\n"]


@pytest.mark.parametrize("min_workers", [0, 3, "one"])
def test_a_bad_min_workers_is_refused(min_workers: object) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"^min_workers must be .*{min_workers!r}"):
        SlotExecutor([Plain(n_workers=2)], min_workers=min_workers)  # type: ignore[arg-type]


def test_hosts_are_connected_at_the_same_time(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'date +%s.%N > "$0"; sleep 1.5; exec "$@"'
    starts = [tmp_path / name for name in ("a", "b", "c")]
    slow = [Plain(path.name, wrapper=["sh", "-c", script, str(path)]) for path in starts]
    original = Connection.wait_for_facts
    executor = make(*slow)
    executor.prepare()
    times = [float(path.read_text()) for path in starts]
    assert max(times) - min(times) < 1.5
    assert original is Connection.wait_for_facts


def test_data_that_changed_since_it_was_packed_fails_its_task_alone(make: Make, tmp_path: Path) -> None:
    executor = make(Plain("alpha", folder=tmp_path))
    X = np.zeros(100_000)
    packed = pack_task(Task(np.sum, (X,)), "a sum", Hashes())
    X[0] = 1.0
    with pytest.raises(DataChangedError, match="Change the arguments of a task only after it is done"):
        executor.submit_packed("a sum", packed).result(60)
    assert executor.submit(np.sum, X).result(60) == 1.0
    assert (executor.n_workers_left, executor.n_retries) == (1, 0)
