"""How far the tasks of a pool are: a bar while they run, and a line at the end."""

from __future__ import annotations

import concurrent.futures
import sys
import threading
import time
from typing import Any, Protocol

__all__ = ["Progress"]


class _Counted(Protocol):
    """A pool or a backend, and the executor that it uses."""

    @property
    def n_workers(self) -> int: ...
    @property
    def executor(self) -> Any: ...


class Progress:
    """Counts a pool's tasks, and shows them if asked to.

    Parameters
    ----------
    show : bool or None
        Whether to show a bar and print the summary; None means in a terminal or a notebook.
    """

    def __init__(self, show: bool | None) -> None:
        self._show = _somebody_looks() if show is None else show
        self._lock = threading.Lock()
        self._bar: Any = None
        self._closed = False
        self._began: float | None = None
        self._ended = 0.0
        self._expected = 0
        self._submitted = self._done = self._failed = self._cancelled = 0
        self._seconds: float | None = 0.0

    def add(self, future: concurrent.futures.Future[Any], call: Any, pool: _Counted) -> None:
        """Count a task, and how it ends."""
        if getattr(call, "stands_in", False):  # made by ffnn.parallel.failed for a task that was counted
            return
        with self._lock:
            self._began = self._began or time.perf_counter()
            if self._submitted >= self._expected:
                self._expected = self._submitted + (_foretold(call) or 1)
            self._submitted += 1
            self._refresh(pool)
        future.add_done_callback(lambda done: self._count(done, pool))

    def summary(self, pool: _Counted) -> str:
        """Say in one line what was done."""
        with self._lock:
            took = (self._ended - self._began) if self._began is not None and self._ended else 0.0
            parts = [f"{self._done} done"]
            parts += [f"{count} {what}" for count, what in self._troubles(pool) if count]
            n_hosts = getattr(pool.executor, "n_hosts", None) or 1
            n_left_out = getattr(pool.executor, "n_left_out", 0)
            without = f" ({n_left_out} left out)" if n_left_out else ""
            hosts = f" of {_plural(n_hosts, 'host')}{without}" if n_hosts > 1 else ""
            where = _plural(pool.n_workers, "worker") + hosts
            line = f"{_plural(self._submitted, 'task')} on {where} in {took:.1f} s: " + ", ".join(parts)
            sent = getattr(pool.executor, "bytes_sent", None)
            if sent:
                line += f"; {_size(sent)} sent"
            if took and self._seconds:
                speed = self._seconds / took
                line += f"; {self._seconds:.1f} s of work, {speed:.1f} times as fast as in sequence"
            return line

    def close(self, pool: _Counted) -> None:
        """Take the bar away, and print the summary if there was one."""
        with self._lock:
            bar, self._bar = self._bar, None
            already, self._closed = self._closed, True
        if bar is not None:
            bar.close()
        if self._show and not already and self._submitted:
            print(self.summary(pool), file=sys.stderr)

    def _count(self, future: concurrent.futures.Future[Any], pool: _Counted) -> None:
        with self._lock:
            self._ended = time.perf_counter()
            if future.cancelled():
                self._cancelled += 1
            elif future.exception() is not None:
                self._failed += 1
            else:
                self._done += 1
            seconds = getattr(future, "seconds", None)
            if seconds is not None and self._seconds is not None:
                self._seconds += seconds
            self._refresh(pool, ended=1)

    def _refresh(self, pool: _Counted, ended: int = 0) -> None:
        if not self._show or self._closed:
            return
        if self._bar is None:
            from tqdm.auto import tqdm

            link = getattr(pool.executor, "dashboard_link", None)
            if link:
                print(f"dashboard: {link}", file=sys.stderr)
            self._bar = tqdm(total=0, unit="task", desc="tasks", dynamic_ncols=True, file=sys.stderr)
        bar = self._bar
        over = self._done + self._failed + self._cancelled
        bar.total = max(self._expected, self._submitted)
        counts = [(min(pool.n_workers, self._submitted - over), "running"), *self._troubles(pool)]
        bar.set_postfix_str(", ".join(f"{count} {what}" for count, what in counts if count), refresh=False)
        if ended:
            bar.update(ended)
        elif self._submitted == 1:
            bar.refresh()

    def _troubles(self, pool: _Counted) -> list[tuple[int, str]]:
        n_retries = getattr(pool.executor, "n_retries", 0)
        return [(self._failed, "failed"), (n_retries, "retried"), (self._cancelled, "cancelled")]


def _foretold(call: Any) -> int | None:
    """Read from scikit-learn's first call of a search how many there will be; None if it does not say."""
    try:
        (_, _, kwargs) = call.items[0]
        return int(kwargs["candidate_progress"][1]) * int(kwargs["split_progress"][1])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None


def _somebody_looks() -> bool:
    if "ipykernel" in sys.modules:
        return True
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False


def _size(n_bytes: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            break
        n_bytes /= 1000
    return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
