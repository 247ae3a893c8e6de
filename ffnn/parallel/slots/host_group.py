"""The hosts of an executor as a group."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence

from ffnn.exceptions import ExecutorError, HostError
from ffnn.parallel.hosts.host import Host
from ffnn.parallel.slots.queue import Queue
from ffnn.parallel.words import plural

__all__ = ["HostGroup", "each_host"]


class HostGroup:
    """All hosts of an executor; checks that enough workers are left."""

    def __init__(self, hosts: Sequence[Host], queue: Queue, min_workers: int) -> None:
        self._hosts = hosts
        self._queue = queue
        self._min_workers = min_workers
        self._connected = self._started = False
        self.error: ExecutorError | None = None
        for host in hosts:
            host.on_left_out = self.check

    def connect(self) -> None:
        """Connect all hosts at the same time; later calls do nothing."""
        if self._connected:
            return
        self._connected = True

        def connect(host: Host) -> None:
            with contextlib.suppress(ExecutorError):  # the host has noted it
                host.connect()

        each_host(connect, self._hosts)

    def check(self) -> str:
        """Return a sentence about the other hosts when one is left out; fail all tasks if too few workers remain."""
        reasons = [host.left_out for host in self._hosts]
        self._started = self._started or all(host.n_connections for host in self._hosts)
        left = sum(host.n_workers_left for host in self._hosts)
        if left >= (1 if self._started else self._min_workers):
            tried = all(out is not None or host.n_connections for host, out in zip(self._hosts, reasons, strict=True))
            self._started = self._started or tried
            on = any(host.works for host in self._hosts)
            return "The other hosts go on." if on else "The other hosts are still being tried."
        errors = [error for error in reasons if error is not None]
        if len(self._hosts) == 1:
            error = errors[0]
        else:
            few = f"{plural(left, 'worker')} {'is' if left == 1 else 'are'} left, fewer than min_workers"
            what = "no host is left" if left == 0 else f"{few}={self._min_workers}"
            error = HostError(f"{what}:\n" + "\n".join(f"- {error}" for error in errors))
        if not self._started:
            self.error = error
        self._queue.fail_all(error, for_ever=not self._started)
        return ""


def each_host(act: Callable[[Host], object], hosts: Sequence[Host]) -> None:
    """Call a function with every host at the same time, and wait for all calls."""
    threads = [threading.Thread(target=act, args=(host,), daemon=True) for host in hosts]
    for thread, host in zip(threads, hosts, strict=True):
        try:
            thread.start()
        except RuntimeError:  # the system allows no more threads
            act(host)
    for thread in threads:
        if thread.ident is not None:
            thread.join()
