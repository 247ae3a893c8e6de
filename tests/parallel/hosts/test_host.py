"""One host: when it is connected, when it rests, and when it is left out."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ffnn.exceptions import HostError, HostWarning
from ffnn.parallel.hosts import breaker, run_command
from ffnn.parallel.hosts.host import Host
from ffnn.parallel.hosts.provisioner import Provisioner
from ffnn.parallel.tasks.store import Blob
from tests.support.agents import Plain, wait_until

pytestmark = pytest.mark.timeout(60)

Make = Callable[..., Host]


@pytest.fixture(autouse=True)
def short_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "_BACK_OFF", 0.05)
    monkeypatch.setattr(breaker, "_REST", 1.0)


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Host] = []

    def make(where: Provisioner, **options: Any) -> Host:
        made.append(Host(where, **{"start_timeout": 20.0, "silence": 20.0, **options}))
        return made[-1]

    yield make
    for host in made:
        host.close()


def kill_agent(host: Host) -> None:
    lost = host.connect()
    os.kill(host.facts.pid, signal.SIGKILL)
    wait_until(lambda: lost.lost is not None, "the loss is noticed")


def test_it_is_connected_once(make: Make) -> None:
    where = Plain()
    host = make(where)
    with pytest.raises(HostError, match="host plain is not connected"):
        host.facts  # noqa: B018 - the access is the test
    assert host.connect() is host.connect()
    assert len(where.agents) == host.n_connections == 1
    assert host.facts.pid == where.agents[0].pid
    assert host.left_out is None


def test_a_lost_agent_is_replaced(make: Make) -> None:
    where = Plain()
    host = make(where)
    sent = host.connect().bytes_sent
    kill_agent(host)
    assert host.connect().lost is None
    assert host.facts.pid == where.agents[1].pid
    assert host.n_connections == 2
    assert host.bytes_sent == 2 * sent


def test_what_never_worked_is_left_out_at_once(make: Make) -> None:
    where = Plain()
    where.broken = range(10)
    host = make(where)
    for _ in range(3):
        with pytest.raises(HostError, match="host plain: the agent ended with exit code 9.*\nout of order"):
            host.connect()
    assert len(where.agents) == 1
    assert "out of order" in str(host.left_out)


def test_it_comes_back_after_its_rest(make: Make) -> None:
    where = Plain()
    where.broken = range(1)
    host = make(where)
    with pytest.raises(HostError):
        host.connect()
    time.sleep(1.1)
    assert host.left_out is None
    assert host.connect().lost is None
    assert len(where.agents) == 2


def test_what_has_worked_is_tried_again_and_again_before_it_is_left_out(make: Make) -> None:
    where = Plain()
    where.broken = range(1, 100)
    host = make(where)
    host.connect()
    host.succeed(0)
    kill_agent(host)
    start = time.monotonic()
    with pytest.raises(HostError, match="out of order"):
        host.connect()
    assert time.monotonic() - start > 0.05 + 0.1 + 0.2 + 0.4
    assert len(where.agents) == 5  # and the loss itself is the fifth failure


def test_a_success_wipes_the_slate_clean(make: Make) -> None:
    where = Plain()
    where.broken = {1, 2, 3, 5, 6, 7}
    host = make(where)
    for _ in range(2):
        host.connect()
        host.succeed(0)
        kill_agent(host)
    host.connect()
    assert len(where.agents) == 9


@pytest.mark.parametrize("when", ["start", "check"])
@pytest.mark.parametrize("error", [HostError("host plain: the disk is on fire", "plain"), RuntimeError("on fire")])
def test_whatever_a_provisioner_raises_names_the_host(when: str, error: Exception, make: Make) -> None:
    class Broken(Plain):
        def start(self) -> Any:
            if when == "start":
                raise error
            return super().start()

        def check(self, host: Host) -> None:
            raise error

    where = Broken()
    host = make(where)
    with pytest.raises(HostError, match="host plain: .*on fire") as caught:
        host.connect()
    assert host.left_out is caught.value
    assert all(agent.poll() is not None for agent in where.agents)


def test_an_agent_that_does_not_answer_is_ended(make: Make) -> None:
    where = Plain(wrapper=["sh", "-c", "echo please wait >&2; exec sleep 300"], replace=True)
    host = make(where, start_timeout=0.5)
    with pytest.raises(HostError, match="host plain: the agent did not answer before it was ready.*\nplease wait"):
        host.connect()
    assert where.agents[0].poll() is not None


def test_one_that_is_left_out_is_warned_about_once(make: Make) -> None:
    where = Plain()
    where.broken = range(100)
    host = make(where)
    others = "The other hosts go on."
    host.on_left_out = lambda: others
    with pytest.warns(HostWarning, match="out of order\nThe other hosts go on") as caught:  # noqa: PT031
        for _ in range(2):
            with pytest.raises(HostError):
                host.connect()
            time.sleep(1.1)
    assert len(caught) == 1
    others = ""
    host = make(where)
    with warnings.catch_warnings(record=True) as caught, pytest.raises(HostError):
        host.connect()
    assert not caught


def test_one_that_is_left_out_is_so_even_while_its_agent_is_there(make: Make) -> None:
    host = make(Plain())
    connection = host.connect()
    host.fail(HostError("its disk is full"), for_good=True)
    with pytest.raises(HostError, match="its disk is full"):
        host.connect()
    with pytest.raises(HostError, match="its disk is full"):
        host.launch(0)
    time.sleep(1.1)
    assert host.connect() is connection


def test_many_who_need_it_start_it_once(make: Make) -> None:
    where = Plain()
    host = make(where)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(host.connect())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 8
    assert len(set(found)) == len(where.agents) == 1


@pytest.mark.parametrize("state", ["connecting", "resting"])
def test_a_close_ends_a_wait(state: str, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    where = Plain(wrapper=["sleep", "300"] if state == "connecting" else [], replace=state == "connecting")
    host = make(where, start_timeout=60.0)
    if state == "resting":
        host.connect()
        monkeypatch.setattr(breaker, "_BACK_OFF", 60.0)
        kill_agent(host)
    errors: list[BaseException] = []

    def connect() -> None:
        try:
            host.connect()
        except HostError as error:
            errors.append(error)

    thread = threading.Thread(target=connect)
    thread.start()
    wait_until(lambda: where.agents, "it has begun")
    time.sleep(0.3)
    start = time.monotonic()
    host.close()
    thread.join(20)
    assert time.monotonic() - start < 8
    assert "the executor was shut down" in str(errors[0])
    assert all(agent.poll() is not None for agent in where.agents)
    with pytest.raises(HostError, match="was shut down"):
        host.connect()


# --- commands


def test_a_command_is_run(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    host = make(Plain())
    with pytest.raises(HostError, match="host plain: it is not connected"):
        host.run(["true"])
    host.connect()
    done = host.run(["sh", "-c", "cat; echo $WORD >&2; exit 3"], environment={"WORD": "hello"}, input=b"in")
    assert (done.exit_code, done.stdout, done.stderr) == (3, b"in", "hello\n")
    assert host.run(["/no/such"]).exit_code == 127
    assert host.run(["cat"], input=bytes(3_000_000)).stdout == bytes(3_000_000)


def test_a_command_that_takes_too_long_is_ended(make: Make, tmp_path: Path) -> None:
    host = make(Plain())
    host.connect()
    with pytest.raises(HostError, match="host plain: sh -c .* took longer than 0.5 seconds"):
        host.run(["sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 300"], timeout=0.5)
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "it has ended")


def test_a_command_that_prints_without_end_is_ended(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_command, "_MOST", 3 << 20)
    host = make(Plain())
    host.connect()
    with pytest.raises(HostError, match="host plain: yes printed more than 3 MiB"):
        host.run(["yes"])
    done = host.run(["sh", "-c", "yes | head -c 3000000 >&2; echo end >&2"])
    assert done.stderr.endswith("y\nend\n")
    assert len(done.stderr) == 1 << 16


def test_a_command_on_a_host_that_is_lost_is_an_error(make: Make) -> None:
    host = make(Plain())
    host.connect()
    threading.Timer(0.3, os.kill, [host.facts.pid, signal.SIGKILL]).start()
    with pytest.raises(HostError, match="host plain: the connection ended"):
        host.run(["sleep", "300"])


def test_every_start_has_a_name_of_its_own(make: Make) -> None:
    names: list[str] = []

    class Noting(Plain):
        def command(self, slot: int, start: str, facts: Any) -> Any:
            names.append(start)
            return super().command(slot, start, facts)

    host, other = make(Noting()), make(Noting())
    for slot in (0, 1, 0):
        host.launch(slot)
    kill_agent(host)
    host.launch(0)  # while an orphan may still live
    other.launch(0)
    assert len(set(names)) == 5
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in names)


# --- data


def test_data_that_cannot_be_stored_leaves_the_host_out(make: Make) -> None:
    host = make(Plain())
    host.connect()
    os.rmdir(host.facts.store)
    data = [Blob("data", 10, memoryview(bytes(10)))]
    message = r"host plain: 0.0 MB of data could not be stored: No such file.*Make room there, or let TMPDIR"
    with pytest.raises(HostError, match=message), host.having(data):
        pass
    assert "could not be stored" in str(host.left_out)
