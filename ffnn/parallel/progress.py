"""The progress of a pool: a bar while its tasks run, and a summary at the end."""

from __future__ import annotations

import concurrent.futures
import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ffnn._utils.bars import progress_bar
from ffnn.exceptions import ExecutorError
from ffnn.executor import BaseExecutor, Future
from ffnn.parallel.followed import FitOutcome
from ffnn.parallel.output import STDERR
from ffnn.parallel.words import plural, size_in_words

if TYPE_CHECKING:
    from ffnn.parallel.pruning.pruned import PrunedFit

__all__ = ["Progress", "TaskCounter"]


@runtime_checkable
class TaskCounter(Protocol):
    """Counts the tasks that need not run, or not to their ends: a progress, or a pool with its own."""

    @property
    def follows_fits(self) -> bool:
        """Whether it shows the epochs of fits."""

    def note_recorded(self, call: Any) -> None:
        """Count a task whose result is taken from a journal."""

    def note_pruned(self, pruned: PrunedFit) -> None:
        """Count a fit that is stopped."""


class Progress:
    """Counts a pool's tasks, and shows them if wanted.

    Parameters
    ----------
    show : bool or None
        Whether to show a bar and print the summary; None means in a terminal or a notebook.
    executor : BaseExecutor
        The executor whose statistics are shown.
    """

    follows_fits = False

    def __init__(self, show: bool | None, executor: BaseExecutor) -> None:
        self._show = _is_interactive() if show is None else show
        self._executor = executor
        self._lock = threading.Lock()
        self._bar: Any = None
        self._closed = False
        self._broken = False  # whether the bar cannot be drawn
        self._began: float | None = None
        self._ended = 0.0
        self._expected = 0
        self._submitted = self._done = self._failed = self._cancelled = self._recorded = self._pruned = 0
        self._seconds = 0.0  # the time of work: the durations of tasks that ended by themselves

    def add(self, future: concurrent.futures.Future[Any], call: Any) -> None:
        """Count a task when it is submitted and when it ends."""
        if getattr(call, "is_rerun", False):  # made by ffnn.parallel.failed for a task that was counted
            return
        if not getattr(call, "goes_on", False):  # the next part of a fit that was counted
            with self._lock:
                self._expect(call)
                self._submitted += 1
                self._refresh()
        future.add_done_callback(self._count)

    def note_recorded(self, call: Any) -> None:
        """Count a task whose result is taken from a journal."""
        with self._lock:
            self._expect(call)
            self._recorded += 1
            self._ended = time.perf_counter()
            self._refresh(ended=1)

    def note_pruned(self, pruned: PrunedFit) -> None:
        """Count a fit that is stopped while it waits."""
        with self._lock:
            self._pruned += 1
            self._refresh(ended=1)

    def summary(self) -> str:
        """Return one line with the tasks done, the workers and the time."""
        with self._lock:
            took = (self._ended - self._began) if self._began is not None and self._ended else 0.0
            parts = [f"{self._done} done"]
            parts += [f"{count} {what}" for count, what in self._troubles() if count]
            parts += [f"{self._recorded} more from the journal"] if self._recorded else []
            where = _where(self._executor)
            line = f"{plural(self._submitted, 'task')} on {where} in {took:.1f} s: " + ", ".join(parts)
            sent = self._executor.bytes_sent
            if sent:
                line += f"; {size_in_words(sent)} sent"
            if took and self._seconds:
                speed = self._seconds / took
                line += f"; {self._seconds:.1f} s of work, {speed:.1f} times as fast as in sequence"
            return line

    def close(self) -> None:
        """Remove the bar, and print the summary if it was shown."""
        with self._lock:
            bar, self._bar = self._bar, None
            already, self._closed = self._closed, True
        if bar is not None:
            with contextlib.suppress(Exception):  # a broken stream must not end a search
                bar.close()
        if self._show and not already and self._submitted + self._recorded:
            STDERR.write(f"{self.summary()}\n")

    def _expect(self, call: Any) -> None:
        self._began = self._began or time.perf_counter()
        known = self._submitted + self._recorded
        if known >= self._expected:
            self._expected = known + (_announced_total(call) or 1)

    def _count(self, future: concurrent.futures.Future[Any]) -> None:
        with self._lock:
            self._ended = time.perf_counter()
            ended = 1
            if future.cancelled():
                self._cancelled += 1
            elif _has_paused(future):
                ended = 0
            elif future.exception() is not None:
                self._failed += 1
            else:
                self._done += 1
            lost = isinstance(None if future.cancelled() else future.exception(), ExecutorError)
            if isinstance(future, Future) and not lost:  # the time of lost workers and restarts is not work
                self._seconds += future.seconds or 0.0
            self._refresh(ended)

    def _refresh(self, ended: int = 0) -> None:
        if self._show and not self._closed and not self._broken:
            try:
                self._draw(ended)
            except Exception:
                self._broken = True

    def _draw(self, ended: int) -> None:
        if self._bar is None:
            link = self._executor.dashboard_link
            if link:
                STDERR.write(f"dashboard: {link}\n")
            self._bar = progress_bar(total=0, unit="task", desc="tasks", dynamic_ncols=True, file=STDERR)
        bar = self._bar
        over = self._over - self._recorded
        bar.total = max(self._expected, self._submitted + self._recorded)
        counts = [(min(self._executor.n_workers_left, self._submitted - over), "running"), *self._troubles()]
        bar.set_postfix_str(", ".join(f"{count} {what}" for count, what in counts if count), refresh=False)
        if ended:
            bar.update(ended)
        elif self._submitted + self._recorded == 1:
            bar.refresh()

    @property
    def _over(self) -> int:
        return self._done + self._failed + self._cancelled + self._pruned + self._recorded

    def _troubles(self) -> list[tuple[int, str]]:
        return [
            (self._failed, "failed"),
            (self._pruned, "pruned"),
            (self._executor.n_retries, "retried"),
            (self._cancelled, "cancelled"),
        ]


def _has_paused(future: concurrent.futures.Future[Any]) -> bool:
    """Return whether a task was a part of a fit that is not over."""
    if future.exception() is not None:
        return False
    results = future.result()
    return isinstance(results, list) and any(isinstance(one, FitOutcome) and not one.is_over for one in results)


def _announced_total(call: Any) -> int | None:
    """Return the number of fits that a search's first call announces; None if it is not scikit-learn's."""
    try:
        (_, _, kwargs) = call.items[0]
        return int(kwargs["candidate_progress"][1]) * int(kwargs["split_progress"][1])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None


def _is_interactive() -> bool:
    if "ipykernel" in sys.modules:
        return True
    try:
        return sys.stderr.isatty()
    except Exception:  # it is None, closed, or a user's object
        return False


def _where(executor: BaseExecutor) -> str:
    """Return the number of workers and hosts that the tasks ran on, and how many were left out."""
    n_workers, left, n_hosts = executor.n_workers, executor.n_workers_left, executor.n_hosts
    where = f"{left} of {plural(n_workers, 'worker')}" if left < n_workers else plural(left, "worker")
    if n_hosts > 1:
        left_out = executor.n_left_out
        where += f" ({left_out} of {n_hosts} hosts left out)" if left_out else f" of {n_hosts} hosts"
    return where
