"""Agents as programs of their own, in which nobody helps them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ffnn.parallel.agent import frames
from tests.support.agents import MakeRaw, wait_until, wait_until_gone

pytestmark = pytest.mark.timeout(60)


def folders(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.iterdir())


def test_its_folder_is_its_own_and_goes_with_it(raw_agent: MakeRaw, tmp_path: Path) -> None:
    agent = raw_agent()
    folder = Path(agent.facts["folder"])
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "data").is_dir()
    agent.close()
    assert agent.process.returncode == 0
    assert folders(tmp_path) == []


def test_it_answers_pings(raw_agent: MakeRaw) -> None:
    agent = raw_agent()
    agent.say(frames.PING, 0)
    assert agent.hear() == (frames.PONG, 0, b"")


def test_frames_may_come_in_any_pieces(raw_agent: MakeRaw) -> None:
    agent = raw_agent()
    order = json.dumps({"argv": ["cat"], "environment": {}, "inherit": True, "after": [], "supervised": False})
    said = frames.HEAD.pack(frames.START, 7, len(order)) + order.encode()
    said += frames.HEAD.pack(frames.DATA, 7, 5) + b"hello" + frames.HEAD.pack(frames.EOF, 7, 0)
    for byte in said:
        agent.stdin.write(bytes([byte]))
    assert agent.hear() == (frames.DATA, 7, b"hello")
    assert agent.hear() == (frames.EXITED, 7, b"0")


@pytest.mark.parametrize("end", ["the end of its input", "SIGTERM", "SIGHUP", "SIGINT", "SIGKILL", "CLOSE"])
def test_nothing_that_a_command_started_outlives_it(end: str, raw_agent: MakeRaw) -> None:
    agent = raw_agent()
    pids = agent.family(1)
    if end == "CLOSE":
        agent.say(frames.CLOSE, 1)
        assert agent.hear() == (frames.EXITED, 1, b"-9")
    elif end == "the end of its input":
        agent.stdin.close()
    else:
        os.kill(agent.pid, getattr(signal, end))
    if end != "CLOSE":
        agent.process.wait(20)
    wait_until_gone(*pids)


def test_the_end_of_a_commands_input_is_not_its_end(raw_agent: MakeRaw) -> None:
    agent = raw_agent()
    agent.run(1, "sh", "-c", "cat; sleep 0.3; echo and more", supervised=False)
    agent.say(frames.DATA, 1, b"some, ")
    agent.say(frames.EOF, 1)
    assert agent.hear() == (frames.DATA, 1, b"some, ")
    assert agent.hear() == (frames.DATA, 1, b"and more\n")
    assert agent.hear() == (frames.EXITED, 1, b"0")


def test_it_ends_everything_when_its_client_is_silent_for_too_long(raw_agent: MakeRaw, tmp_path: Path) -> None:
    agent = raw_agent(lease=1.0)
    pids = agent.family(1)
    for _ in range(4):
        time.sleep(0.5)
        agent.say(frames.PING, 0)
        assert agent.hear()[0] == frames.PONG
    start = time.monotonic()
    agent.process.wait(20)
    assert 0.8 < time.monotonic() - start < 10
    wait_until_gone(*pids)
    assert folders(tmp_path) == []


def test_it_ends_when_its_client_no_longer_reads(raw_agent: MakeRaw) -> None:
    agent = raw_agent(lease=1.0)
    agent.run(1, "cat", "/dev/zero", supervised=False)
    agent.process.wait(20)  # though it is always told that somebody is there:
    agent.stdout.close()


def test_what_is_silent_may_only_not_have_been_heard(raw_agent: MakeRaw) -> None:
    agent = raw_agent(lease=1.0)
    agent.process.send_signal(signal.SIGSTOP)
    time.sleep(2.0)
    agent.say(frames.PING, 0)
    agent.process.send_signal(signal.SIGCONT)
    assert agent.hear()[0] == frames.PONG
    assert agent.process.poll() is None


def test_its_parents_death_is_its_own(tmp_path: Path) -> None:
    """Also when somebody else still holds the other end of its input."""
    script = """
import os, subprocess, sys, time
from pathlib import Path
from tests.support.agents import RawAgent
agent = RawAgent(Path(sys.argv[1]))
pids = agent.family(1)
if os.fork() == 0:
    time.sleep(60)
    os._exit(0)
print(agent.pid, *pids, flush=True)
time.sleep(60)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root, process_group=0) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 5
        parent.kill()
        wait_until_gone(*pids)
        os.killpg(parent.pid, signal.SIGKILL)  # the forked copy
    wait_until(lambda: folders(tmp_path) == [], "nothing is left")


def test_a_client_that_says_nonsense_does_not_keep_it(raw_agent: MakeRaw, tmp_path: Path) -> None:
    agent = raw_agent()
    pids = agent.family(1)
    agent.say(frames.PUT, 2, b"no JSON")
    agent.process.wait(20)
    wait_until_gone(*pids)
    assert folders(tmp_path) == []


def test_what_follows_the_end_of_a_command_is_ignored(raw_agent: MakeRaw) -> None:
    agent = raw_agent()
    agent.run(1, "true", supervised=False)
    assert agent.hear() == (frames.EXITED, 1, b"0")
    for kind in (frames.DATA, frames.EOF, frames.CLOSE):
        agent.say(kind, 1, b"")
    agent.say(frames.DROP, 0, b"nothing")
    agent.say(frames.PING, 0)
    assert agent.hear()[0] == frames.PONG


def test_output_is_sent_as_far_as_it_is_read(raw_agent: MakeRaw) -> None:
    agent = raw_agent()
    size = 2 * frames.WINDOW + 1000
    agent.run(1, "head", "-c", str(size), "/dev/zero")
    agent.run(2, "sh", "-c", "sleep 0.3; echo other")  # is not held up by the first
    got = {1: 0, 2: 0}
    while not got[2]:
        kind, channel, data = agent.hear()
        if kind == frames.DATA:
            got[channel] += len(data)
    assert got[1] == frames.WINDOW
    agent.say(frames.GRANT, 1, b"%d" % frames.WINDOW)
    agent.say(frames.GRANT, 1, b"%d" % frames.WINDOW)
    ended = False
    while not ended:
        kind, channel, data = agent.hear()
        assert kind, "the agent is there"
        ended = kind == frames.EXITED and channel == 1
        got[1] += len(data) if kind == frames.DATA else 0
    assert got[1] == size  # all of it, though the command ended long before
    agent.run(3, "cat", "/dev/zero")
    agent.say(frames.CLOSE, 3)
    got[3] = 0
    while True:
        kind, channel, data = agent.hear()
        if channel == 3 and kind == frames.EXITED:
            break
        got[3] += len(data)
    assert got[3] <= frames.WINDOW + frames.CHUNK  # what nobody wants is not sent
