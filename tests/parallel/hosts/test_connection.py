"""What a client notices of its agent, and when it gives it up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ffnn.parallel.hosts.connection import ConnectionLostError
from ffnn.parallel.hosts.provisioner import Command
from ffnn.parallel.tasks.store import Blob
from tests.support.agents import Connect, Plain, wait_until, wait_until_gone

pytestmark = pytest.mark.timeout(60)

SLEEP = Command(["sleep", "300"])


def blob(size: int, name: str = "data") -> Blob:
    return Blob(name, size, memoryview(bytes(size)))


def test_it_is_kept_while_nobody_says_anything(connect: Connect) -> None:
    connection = connect(Plain(lease=1.0), silence=1.0)
    process = connection.launch(SLEEP)
    time.sleep(3)
    assert connection.lost is None
    assert process.alive


def test_an_agent_that_stands_still_is_given_up(connect: Connect) -> None:
    where = Plain()
    connection = connect(where, silence=1.0)
    process = connection.launch(SLEEP)
    os.kill(connection.wait_for_facts(1).pid, signal.SIGSTOP)
    start = time.monotonic()
    assert process.wait(10)
    assert 0.5 < time.monotonic() - start < 5
    assert process.lost == connection.lost == "it said nothing for 1 seconds"
    assert process.exit_code is None
    connection.close(where.stop)
    assert where.agents[0].poll() == -signal.SIGKILL


PROGRAM = """
import sys
from ffnn.parallel.hosts.connection import Connection
from ffnn.parallel.hosts.local import LocalHost
where = LocalHost(1)
connection = Connection(where.start(), silence=1.0, lease=None)
connection.wait_for_facts(20)
print("ready", flush=True)
sys.stdin.readline()
print(connection.lost, flush=True)
connection.close(where.stop)
"""


def test_a_client_that_stood_still_gives_up_nobody() -> None:
    """A search that is stopped by Ctrl-Z goes on where it was."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=pipe, stdout=pipe, text=True) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        assert client.stdout.readline() == "ready\n"
        for _ in range(3):  # wherever it is at that moment
            client.send_signal(signal.SIGSTOP)
            time.sleep(2.0)
            client.send_signal(signal.SIGCONT)
            time.sleep(0.5)
        client.stdin.write("well?\n")
        client.stdin.flush()
        assert client.stdout.readline() == "None\n"


@pytest.mark.parametrize("waits_for", ["output", "exit", "store"])
def test_the_agents_death_wakes_whoever_waits(waits_for: str, connect: Connect) -> None:
    connection = connect()
    process = connection.launch(SLEEP)
    pid = connection.wait_for_facts(1).pid
    if waits_for == "store":
        os.kill(pid, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, [pid, signal.SIGKILL]).start()
    if waits_for == "output":
        assert process.read() == b""
    elif waits_for == "exit":
        assert process.wait(10)
    else:
        answers: list[str | None] = []
        connection.open_put(answers.append)
        wait_until(lambda: answers, "the answer")
        assert answers == ["the connection ended"]
    assert connection.lost == "the connection ended"
    with pytest.raises(ConnectionLostError, match="the connection ended"):
        connection.launch(SLEEP)
    late: list[str | None] = []
    connection.open_put(late.append)
    assert late == ["the connection ended"]


def test_its_close_ends_everything_there(connect: Connect) -> None:
    where = Plain()
    connection = connect(where)
    process = connection.launch(Command(["sh", "-c", "echo $$; sleep 300"]))
    pid = int(process.read())
    connection.close(where.stop)
    assert process.lost == "it was closed"
    assert where.agents[0].poll() == 0
    wait_until_gone(pid)


def test_an_agent_that_talks_nonsense_is_given_up(connect: Connect, tmp_path: Path) -> None:
    """And so is one that speaks another version: nothing waits for it for ever."""
    nonsense = tmp_path / "agent.py"
    nonsense.write_text(
        "import sys, time\nfrom ffnn.parallel.agent import frames\n"
        "out = sys.stdout.buffer\n"
        "out.write(frames.MAGIC + frames.HEAD.pack(frames.HELLO, 0, 8) + b'nonsense')\nout.flush()\ntime.sleep(300)\n"
    )
    where = Plain(wrapper=["env", f"PYTHONPATH={Path(__file__).parents[2]}", sys.executable, str(nonsense)])
    connection = connect(where, wait=False)
    with pytest.raises(ConnectionLostError, match="cannot be understood"):
        connection.wait_for_facts(20)


SLOWLY = """
import os, subprocess, sys, time
process = subprocess.Popen(sys.argv[3:], stdin=subprocess.PIPE)
piece, pause = int(sys.argv[1]), float(sys.argv[2])
while data := os.read(0, piece):
    process.stdin.write(data)
    process.stdin.flush()
    time.sleep(pause)
process.stdin.close()
process.wait()
"""


def test_a_slow_line_is_no_dead_one(connect: Connect) -> None:
    # about 1.3 MB a second
    where = Plain(wrapper=[sys.executable, "-c", SLOWLY, str(1 << 16), "0.05"])
    connection = connect(where, silence=1.0)
    start = time.monotonic()
    with connection.store.having([blob(6_000_000)]):
        pass
    assert time.monotonic() - start > 2.0  # for longer than the agent may be silent
    assert connection.lost is None


def test_a_line_that_takes_nothing_any_more_is_dead(connect: Connect) -> None:
    connection = connect(silence=1.0)
    os.kill(connection.wait_for_facts(1).pid, signal.SIGSTOP)
    connection.send_data(99, [memoryview(bytes(10_000_000))])
    wait_until(lambda: connection.lost is not None, "it is given up", 10)


def test_what_the_connection_itself_says_is_kept(connect: Connect) -> None:
    connection = connect(Plain(wrapper=["sh", "-c", 'seq 1000 >&2; echo last >&2; exec "$@"', "sh"]))
    wait_until(lambda: connection.stderr.endswith("last"), "it is read")
    assert len(connection.stderr.splitlines()) == 40


def test_bytes_are_counted(connect: Connect) -> None:
    connection = connect()
    before = connection.bytes_sent
    assert before > 10_000  # the agent itself
    with connection.store.having([blob(1_000_000)]):
        pass
    assert 1_000_000 <= connection.bytes_sent - before < 1_001_000


def test_it_leaves_no_threads_and_no_descriptors(connect: Connect) -> None:
    where = Plain()
    connect(where).close(where.stop)
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        connect(where).close(where.stop)
    wait_until(lambda: threading.active_count() <= threads, "its threads have ended")
    assert len(os.listdir("/proc/self/fd")) == files
