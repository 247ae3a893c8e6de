"""Runs one command, whose processes cannot outlive the lease: ``python supervisor.py [--after JSON] COMMAND...``.

The lease is the standard input, which the command shares: when its other end is closed, for whatever reason, the
command and all its descendants are killed, even if they hold Python's lock, ignore signals, or have left the process
group. The exit status is the command's. ``--after`` names another command, as a list in JSON, which is always run when
the first has ended: it cleans up after programs that only ask a service to run something.

This program uses only the standard library and imports nothing of ffnn, so it starts in milliseconds and can be sent to
a machine that has no ffnn.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LOOK_AGAIN = 1.0  # seconds between two checks whether the parent has changed
GIVE_UP = 5.0  # seconds to get rid of the descendants
STOPPED = 20.0  # seconds that the command may be stopped by SIGSTOP; then its client starts another
AFTER = 30.0  # seconds for the command of --after


def prctl(option: int, value: int) -> None:
    """Call Linux's prctl(2); do nothing elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def descendants(root: int) -> list[int]:
    """List the ids of a process's descendants, from Linux's /proc."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue  # it has just ended
            children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    todo = [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def kill_all(group: int) -> None:
    """Kill the command's process group and all other descendants."""
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


class Command:
    """A started process and its status."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status: int | None = None  # the wait status once it has ended
        self.stopped: float | None = None  # the time since which it is stopped (SIGSTOP)

    def look(self) -> None:
        """Collect ended children, and update the status of this one."""
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if pid == self.pid:
                if os.WIFSTOPPED(status):
                    self.stopped = time.monotonic()
                elif os.WIFCONTINUED(status):
                    self.stopped = None
                else:
                    self.status = status
            if pid == 0 or self.status is not None:
                return


def watch(command: Command, wake: int) -> None:
    """Wait until the command ends, is stopped for too long, or the lease ends."""
    parent = os.getppid()
    poll = select.poll()
    poll.register(0, 0)  # poll always reports the end of the lease (POLLHUP), but data only on request
    poll.register(wake, select.POLLIN)
    while True:
        events = poll.poll(LOOK_AGAIN * 1000)
        signals = b""
        if any(descriptor == wake for descriptor, _ in events):
            signals = os.read(wake, 512)
        command.look()
        # a forked copy of the parent may still hold the lease open, so look at the parent too
        if (
            command.status is not None
            or (command.stopped is not None and time.monotonic() - command.stopped > STOPPED)
            or any(descriptor == 0 for descriptor, _ in events)
            or os.getppid() != parent
            or any(number != signal.SIGCHLD for number in signals)
        ):
            return


def read_memory(*paths: str) -> str:
    """Return the first readable file of a container's memory cgroup; empty if there is none."""
    for path in paths:
        with contextlib.suppress(OSError), open(f"/sys/fs/cgroup/{path}") as file:
            return file.read()
    return ""


def report_memory_kills() -> None:
    """Report on standard error the processes of this container that the kernel killed for lack of memory."""
    words = read_memory("memory.events", "memory/memory.oom_control").split()
    kills = words[words.index("oom_kill") + 1] if "oom_kill" in words else "0"
    if kills != "0":
        limit = read_memory("memory.max", "memory/memory.limit_in_bytes").strip()
        size = f"{int(limit) / 2**20:g} MiB" if limit.isdigit() else limit
        what = "1 process" if kills == "1" else f"{kills} processes"
        print(
            f"out of memory: the container reached its limit of {size}, and the kernel killed {what} in it",
            file=sys.stderr,
            flush=True,
        )


def end_like(status: int) -> None:
    """End this process as the command ended."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
        if os.getpid() == 1 and number == signal.SIGKILL:
            report_memory_kills()
        os.kill(os.getpid(), number)
        os._exit(128 + number)  # the first process of a container cannot kill itself by a signal
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def main() -> None:
    """Run the command."""
    argv, after = sys.argv[1:], []
    if argv[0] == "--after":
        argv, after = argv[2:], json.loads(argv[1])
    wake, wakened = os.pipe()
    os.set_blocking(wakened, False)
    signal.set_wakeup_fd(wakened, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    prctl(PR_SET_CHILD_SUBREAPER, 1)  # orphaned descendants become this process's children

    # no other threads run here, so the hook is safe; the end of the thread would count as the parent's death
    def die_with_me() -> None:
        os.setpgrp()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    try:
        process = subprocess.Popen(argv, preexec_fn=die_with_me)  # referenced, as its finalizer collects the child
    except OSError as error:
        print(f"cannot run {argv[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(127 if error.errno == errno.ENOENT else 126)  # a shell's convention
    command = Command(process.pid)
    os.close(1)  # so that readers see the end of the command's output
    watch(command, wake)
    kill_all(command.pid)
    if after:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            null = subprocess.DEVNULL
            subprocess.run(after, stdin=null, stdout=null, stderr=null, timeout=AFTER)
    end_like(signal.SIGKILL if command.status is None else command.status)


if __name__ == "__main__":
    main()
