"""Runs one command and lets nothing of it outlive the lease: ``python supervisor.py COMMAND...``.

The lease is the standard input, which the command shares: when its other end is closed, by whatever death,
the command and all its descendants are killed, even if they hold Python's lock, ignore signals, or have left
the process group. The exit status is the command's.

A program of its own, of the standard library alone, which imports nothing of ffnn, so that it starts in
milliseconds and can be sent to a machine that has no ffnn.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LOOK_AGAIN = 1.0  # seconds between two looks whether the parent has changed
GIVE_UP = 5.0  # seconds to get rid of the descendants


def prctl(option: int, value: int) -> None:
    """Call Linux's prctl(2); do nothing elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def descendants(root: int) -> list[int]:
    """List the process ids below one, by Linux's /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue  # it has ended meanwhile
            children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    todo = [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def kill_all(group: int) -> None:
    """Kill the command's process group and whatever else has come from it."""
    until = time.monotonic() + GIVE_UP
    while time.monotonic() < until:
        for target, kill in [(group, os.killpg), *((pid, os.kill) for pid in descendants(os.getpid()))]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(target, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return  # none is left
        time.sleep(0.01)


def reap(wanted: int) -> tuple[bool, int]:
    """Collect the children that have ended; say whether one process is among them, and its wait status."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid in (0, wanted):
            return pid == wanted, status


def watch(pid: int, wake: int) -> int | None:
    """Wait until the command ends (return its wait status) or the lease does (return None)."""
    parent = os.getppid()
    poll = select.poll()
    poll.register(0, 0)  # the end of the lease (POLLHUP) is reported without being asked for; data is not
    poll.register(wake, select.POLLIN)
    while True:
        events = poll.poll(LOOK_AGAIN * 1000)
        signals = b""
        if any(descriptor == wake for descriptor, _ in events):
            signals = os.read(wake, 512)
        ended, status = reap(pid)
        if ended:
            return status
        # a forked copy of the parent may still hold the lease open, so look at the parent too
        if any(descriptor == 0 for descriptor, _ in events) or os.getppid() != parent:
            return None
        if any(number != signal.SIGCHLD for number in signals):
            return None


def end_like(status: int) -> None:
    """End this process as the command ended."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def main() -> None:
    """Run the command."""
    wake, wakened = os.pipe()
    os.set_blocking(wakened, False)
    signal.set_wakeup_fd(wakened, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    prctl(PR_SET_CHILD_SUBREAPER, 1)  # orphaned descendants become this process's children

    # nothing runs in threads here, so the hook is safe; a thread's end would also count as its parent's death
    def die_with_me() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    command = subprocess.Popen(sys.argv[1:], process_group=0, preexec_fn=die_with_me)
    os.close(1)  # the end of the command's output must be seen
    status = watch(command.pid, wake)
    kill_all(command.pid)
    end_like(signal.SIGKILL if status is None else status)


if __name__ == "__main__":
    main()
