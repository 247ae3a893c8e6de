"""How far the tasks of a pool are: a bar while they run, and a line at the end."""

from __future__ import annotations

import concurrent.futures
import contextlib
import sys
import threading
import time
from typing import Any, Protocol

from ffnn.exceptions import ExecutorError
from ffnn.parallel.output import STDERR
from ffnn.parallel.words import plural, size_in_words

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
        self._broken = False  # whether the bar cannot be drawn
        self._began: float | None = None
        self._ended = 0.0
        self._expected = 0
        self._submitted = self._done = self._failed = self._cancelled = 0
        self._seconds = 0.0  # of work: what tasks took that ended by themselves

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
            where = _where(pool)
            line = f"{plural(self._submitted, 'task')} on {where} in {took:.1f} s: " + ", ".join(parts)
            sent = getattr(pool.executor, "bytes_sent", None)
            if sent:
                line += f"; {size_in_words(sent)} sent"
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
            with contextlib.suppress(Exception):  # as everywhere: a stream that cannot be written to ends nothing
                bar.close()
        if self._show and not already and self._submitted:
            STDERR.write(f"{self.summary(pool)}\n")

    def _count(self, future: concurrent.futures.Future[Any], pool: _Counted) -> None:
        with self._lock:
            self._ended = time.perf_counter()
            if future.cancelled():
                self._cancelled += 1
            elif future.exception() is not None:
                self._failed += 1
            else:
                self._done += 1
            if not isinstance(None if future.cancelled() else future.exception(), ExecutorError):
                # what was ended, or died, and what it took to start it again, is no work
                self._seconds += getattr(future, "seconds", None) or 0.0
            self._refresh(pool, ended=1)

    def _refresh(self, pool: _Counted, ended: int = 0) -> None:
        if self._show and not self._closed and not self._broken:
            try:
                self._draw(pool, ended)
            except Exception:
                self._broken = True

    def _draw(self, pool: _Counted, ended: int) -> None:
        if self._bar is None:
            from tqdm.auto import tqdm

            link = getattr(pool.executor, "dashboard_link", None)
            if link:
                STDERR.write(f"dashboard: {link}\n")
            self._bar = tqdm(total=0, unit="task", desc="tasks", dynamic_ncols=True, file=STDERR)
        bar = self._bar
        over = self._done + self._failed + self._cancelled
        bar.total = max(self._expected, self._submitted)
        counts = [(min(_n_left(pool), self._submitted - over), "running"), *self._troubles(pool)]
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
    except Exception:  # it is None, closed, or a stranger's
        return False


def _n_left(pool: _Counted) -> int:
    return int(getattr(pool.executor, "n_workers_left", pool.n_workers))


def _where(pool: _Counted) -> str:
    """Say on how many workers and hosts the tasks ran, and how many were left out."""
    left, n_hosts = _n_left(pool), getattr(pool.executor, "n_hosts", None) or 1
    where = f"{left} of {plural(pool.n_workers, 'worker')}" if left < pool.n_workers else plural(left, "worker")
    n_left_out = getattr(pool.executor, "n_left_out", 0)
    if n_hosts > 1:
        where += f" ({n_left_out} of {n_hosts} hosts left out)" if n_left_out else f" of {n_hosts} hosts"
    return where
