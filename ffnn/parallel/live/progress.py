"""The live view of a pool, in a terminal or a notebook."""

from __future__ import annotations

import concurrent.futures
import contextlib
import html
import sys
import threading
from typing import TYPE_CHECKING, Any

from ffnn.executor import BaseExecutor
from ffnn.parallel.live.fits import LiveFits, RunningFit
from ffnn.parallel.output import STDERR
from ffnn.parallel.progress import Progress

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["LiveProgress"]

_INTERVAL = 0.5  # seconds between two pictures
_MOST_ROWS = 20
_HEADER = ("worker", "fit", "fold", "epoch", "loss", "validation")


class LiveProgress(Progress):
    """Counts a pool's tasks, and shows what runs where, the best candidate so far and the time left.

    A thread draws, twice a second; whatever goes wrong there, the tasks go on.

    Parameters
    ----------
    executor : BaseExecutor
        The executor whose statistics are shown.
    """

    follows_fits = True

    def __init__(self, executor: BaseExecutor) -> None:
        super().__init__(True, executor)
        self._fits = LiveFits()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, future: concurrent.futures.Future[Any], call: Any) -> None:
        """Follow a task when it is submitted, while it runs, and when it ends."""
        self._fits.add(future, call)
        super().add(future, call)

    def close(self) -> None:
        """Remove the view, and print the summary."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(5.0)  # a terminal that nobody reads must not hold the program
        super().close()

    def headline(self) -> str:
        """Return one line: how many fits are done and running, and the time left."""
        with self._lock:
            over, expected = self._over, max(self._expected, self._submitted + self._recorded)
            parts = [f"{over} of {expected} done", f"{len(self._fits.running())} running"]
            parts += [f"{count} {what}" for count, what in self._troubles() if count]
        left = self._fits.seconds_left(over, expected)
        parts += [_clock(self._fits.seconds), *([] if left is None else [f"about {_clock(left)} left"])]
        return ", ".join(parts)

    def best_line(self) -> str:
        """Return one line about the best candidate so far; empty before there is one."""
        best = self._fits.best()
        if best is None:
            return ""
        folds = "" if best.n_scores >= best.n_folds else f" ({best.n_scores} of {best.n_folds} folds)"
        return f"best so far: {best.score:.4f}{folds}  {best.name}"

    def rows(self) -> list[tuple[str, ...]]:
        """Return a row of texts for each fit that runs."""
        return [_row(fit) for fit in self._fits.running()]

    def _draw(self, ended: int) -> None:
        if self._thread is None and not self._closing.is_set():
            serve = self._serve_notebook if "ipykernel" in sys.modules else self._serve_terminal
            self._thread = threading.Thread(target=serve, name="ffnn-live", daemon=True)
            self._thread.start()

    def _serve_terminal(self) -> None:
        from rich.console import Console
        from rich.live import Live

        with contextlib.suppress(Exception):  # a broken terminal must not end a search
            console = Console(file=STDERR)  # type: ignore[arg-type]  # all of a stream that rich uses
            with Live(console=console, get_renderable=self._renderable, auto_refresh=False, transient=True) as live:
                while not self._closing.wait(_INTERVAL):
                    live.refresh()

    def _serve_notebook(self) -> None:
        with contextlib.suppress(Exception):
            from IPython.display import HTML, display

            shown = display(HTML(self.as_html()), display_id=True)
            while not self._closing.wait(_INTERVAL):
                shown.update(HTML(self.as_html()))
            shown.update(HTML(f"<p>{html.escape(self.summary())}</p>"))

    def _renderable(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Column, Table
        from rich.text import Text

        table = Table(*(Column(name, no_wrap=True, overflow="ellipsis") for name in _HEADER), box=None, pad_edge=False)
        rows = self.rows()
        for row in rows[:_MOST_ROWS]:
            table.add_row(*map(Text, row))
        lines = [self.headline(), self.best_line()]
        more = [Text(f"and {len(rows) - _MOST_ROWS} more")] if len(rows) > _MOST_ROWS else []
        return Group(*(Text(line) for line in lines if line), table, *more)

    def as_html(self) -> str:
        """Return the view as HTML."""
        rows = self.rows()
        lines = "".join(f"<p>{html.escape(line)}</p>" for line in (self.headline(), self.best_line()) if line)
        head = "".join(f"<th>{name}</th>" for name in _HEADER)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows[:_MOST_ROWS]
        )
        more = f"<p>and {len(rows) - _MOST_ROWS} more</p>" if len(rows) > _MOST_ROWS else ""
        return f"{lines}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _row(fit: RunningFit) -> tuple[str, ...]:
    epoch = f"{fit.epoch}/{fit.n_epochs}" if fit.n_epochs else ""
    fold = "" if fit.fold is None else str(fit.fold)
    return fit.worker, fit.name, fold, epoch, _number(fit.loss), _number(fit.validation)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
