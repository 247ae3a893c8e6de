from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from ffnn.parallel.agent import supervisor
from ffnn.testing._tasks import gone

pytestmark = pytest.mark.timeout(60)

FAMILY = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
a = subprocess.Popen(["sleep", "300"])
b = subprocess.Popen(["setsid", "sh", "-c", "sleep 300 & echo $!; exit"], stdout=subprocess.PIPE)
print(os.getpid(), a.pid, int(b.stdout.readline()), flush=True)
time.sleep(300)
"""


def supervise(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", supervisor.__file__, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )


def wait_until_gone(*pids: int) -> None:
    until = time.monotonic() + 10
    while not all(map(gone, pids)):
        assert time.monotonic() < until, [pid for pid in pids if not gone(pid)]
        time.sleep(0.02)


@pytest.mark.parametrize("end", ["lease", "SIGTERM", "SIGKILL"])
def test_a_whole_family_ends(end: str) -> None:
    with supervise(sys.executable, "-c", FAMILY) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        if end == "SIGKILL":  # nobody is left to look for orphans: the command itself ends, by the kernel
            process.kill()
            wait_until_gone(pids[0])
            for pid in pids[1:]:
                os.kill(pid, signal.SIGKILL)
            return
        if end == "lease":
            process.stdin.close()
        else:
            process.terminate()
        assert process.wait(10) == -signal.SIGKILL
        wait_until_gone(*pids)


def test_data_in_the_lease_does_not_hide_its_end() -> None:
    with supervise("sleep", "300") as process:  # which never reads
        assert process.stdin is not None
        process.stdin.write(b"x" * 1000)
        process.stdin.close()
        assert process.wait(10) == -signal.SIGKILL


def test_a_forked_copy_that_holds_the_lease_does_not_matter() -> None:
    script = f"""
import os, subprocess, sys, time
process = subprocess.Popen([sys.executable, {supervisor.__file__!r}, "sleep", "300"], stdin=subprocess.PIPE)
print(process.pid, flush=True)
if os.fork() == 0:
    time.sleep(30)  # holds a copy of the pipe's end
    os._exit(0)
time.sleep(30)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, process_group=0) as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        time.sleep(0.3)
        program.kill()
        wait_until_gone(pid)
        os.killpg(program.pid, signal.SIGKILL)


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("true", 0), ("kill -SEGV $$", -11)])
def test_the_exit_status_is_the_commands(script: str, code: int) -> None:
    with supervise("sh", "-c", script) as process:
        assert process.wait(10) == code


def test_the_output_ends_with_the_command() -> None:
    with supervise("sh", "-c", "echo one; (sleep 300 &) ; exit") as process:
        assert process.stdout is not None
        assert process.stdout.read() == b"one\n"
        assert process.wait(10) == 0
