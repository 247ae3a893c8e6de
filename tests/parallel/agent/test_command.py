"""Commands that an agent runs, as its client sees them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from ffnn.parallel.hosts.connection import Connection
from ffnn.parallel.hosts.provisioner import Command
from ffnn.parallel.hosts.remote import Process
from tests.support.agents import Connect, MakeRaw, wait_until, wait_until_gone

pytestmark = pytest.mark.timeout(60)


def launch(connection: Connection, argv: Sequence[str], *, supervised: bool = False, **options: object) -> Process:
    return connection.launch(Command(argv, **options), supervised=supervised)  # type: ignore[arg-type]


def output(process: Process) -> bytes:
    process.end_input()
    return b"".join(iter(process.read, b""))


@pytest.mark.parametrize("supervised", [False, True])
def test_streams_and_exit_code_arrive(supervised: bool, connect: Connect) -> None:
    # a supervised command that sees the end of its input has lost its lease
    process = launch(connect(), ["sh", "-c", "read line; echo $line; echo no >&2; exit 7"], supervised=supervised)
    said: list[bytes] = []
    process.on_stderr = said.append
    process.send([memoryview(b"yes\n")])
    assert process.read() == b"yes\n"
    assert process.read() == b""
    assert process.exit_code == 7
    assert b"".join(said) == b"no\n"
    with pytest.raises(BrokenPipeError):
        process.send([memoryview(b"more")])


def test_much_crosses_both_ways_at_the_same_time(connect: Connect) -> None:
    process = launch(connect(), ["cat"])
    data = os.urandom(1 << 20) * 40
    process.send([memoryview(data)])
    assert output(process) == data


def test_a_command_that_does_not_read_holds_nobody_up(connect: Connect) -> None:
    connection = connect()
    deaf = launch(connection, ["sleep", "300"], supervised=True)
    deaf.send([memoryview(bytes(30_000_000))])
    assert output(launch(connection, ["echo", "hello"])) == b"hello\n"
    deaf.end()
    assert deaf.wait(10)


def test_a_command_that_talks_forever_holds_nobody_up(connect: Connect) -> None:
    connection = connect()
    loud = launch(connection, ["sh", "-c", "cat /dev/zero >&2"])
    heard = threading.Event()
    loud.on_stderr = lambda data: heard.set()
    assert heard.wait(10)
    assert output(launch(connection, ["echo", "hello"])) == b"hello\n"
    loud.end()
    assert loud.wait(10)


def test_the_environment_is_added_or_is_all(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INHERITED", "1")
    connection = connect()
    script = 'echo "$INHERITED.$GIVEN"'
    assert output(launch(connection, ["sh", "-c", script], environment={"GIVEN": "2"})) == b"1.2\n"
    alone = launch(connection, ["/bin/sh", "-c", script], environment={"GIVEN": "2"}, inherit=False)
    assert output(alone) == b".2\n"


def test_a_home_is_found(connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "program").write_text("#!/bin/sh\necho at home\n")
    (tmp_path / "program").chmod(0o755)
    assert output(launch(connect(), ["~/program"])) == b"at home\n"


@pytest.mark.parametrize("supervised", [False, True])
@pytest.mark.parametrize(("program", "code"), [("/no/such/program", 127), ("/etc/passwd", 126)])
def test_what_cannot_be_run_ends_as_in_a_shell(program: str, code: int, supervised: bool, connect: Connect) -> None:
    process = launch(connect(), [program], supervised=supervised)
    said: list[bytes] = []
    process.on_stderr = said.append
    assert process.wait(10)
    assert process.exit_code == code
    assert f"cannot run {program}: ".encode() in b"".join(said)


@pytest.mark.parametrize("end", ["by itself", "end()", "SIGKILL", "agent"])
def test_what_is_to_be_done_afterwards_is_done(end: str, connect: Connect, tmp_path: Path) -> None:
    connection = connect()
    after = ["sh", "-c", f"echo done >> {tmp_path}/after"]
    process = launch(connection, ["sh", "-c", "echo $$; read line"], supervised=True, after=after)
    pid = int(process.read())
    if end == "by itself":
        process.send([memoryview(b"\n")])
    elif end == "end()":
        process.end()
    elif end == "SIGKILL":
        os.kill(pid, signal.SIGKILL)
    else:
        os.kill(connection.wait_for_facts(1).pid, signal.SIGKILL)
    wait_until((tmp_path / "after").exists, "it was done")
    assert process.wait(10)
    assert (tmp_path / "after").read_text() == "done\n"  # once
    wait_until_gone(pid)


def test_a_supervisor_that_stands_still_is_ended(raw_agent: MakeRaw, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = raw_agent()
    child, supervisor, *_ = agent.family(1)
    os.kill(supervisor, signal.SIGSTOP)
    agent.close()  # not to wait until it is seen that nothing moves
    wait_until_gone(child, supervisor)


def test_a_stream_that_an_orphan_holds_does_not_hide_the_end(connect: Connect) -> None:
    process = launch(connect(), ["sh", "-c", "sleep 300 & echo $!; exit 3"])
    pid = int(process.read())
    try:
        assert process.wait(10)
        assert process.exit_code == 3
    finally:
        psutil.Process(pid).kill()


def test_no_descriptor_is_left_over(connect: Connect) -> None:
    connection = connect()
    agent = psutil.Process(connection.wait_for_facts(1).pid)
    launch(connection, ["true"]).wait(10)
    before = agent.num_fds()
    for supervised in (False, True):
        for _ in range(3):
            launch(connection, [sys.executable, "-S", "-c", ""], supervised=supervised).wait(10)
    assert agent.num_fds() == before
