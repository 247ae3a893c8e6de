"""Time and memory, measured in the process that they are about."""

from __future__ import annotations

import importlib
import os
import resource
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")


def seconds(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def median_seconds(call: Callable[[], Any], repeats: int) -> float:
    """Return the median of some calls after one that does not count."""
    call()
    return statistics.median(seconds(call) for _ in range(repeats))


def import_seconds(*modules: str) -> float:
    """Import modules, an engine for instance, and return how long it took: that is no part of a fit."""
    return seconds(lambda: [importlib.import_module(module) for module in modules])


def engine_seconds(engine: str = "tensorflow") -> float:
    """Import an engine as ffnn does, and return how long it took."""
    from ffnn.builders._engines import import_engine

    return seconds(lambda: import_engine(engine))


def seconds_since_start() -> float:
    """Return the seconds since this process was started, imports included."""
    ticks = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    up = time.clock_gettime(time.CLOCK_BOOTTIME)
    return up - int(ticks) / os.sysconf("SC_CLK_TCK")


def peak_mb() -> float:
    """Return the most memory that this process has had so far, in MB (10⁶ bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def anonymous_mb() -> float:
    """Return the memory that this process has beside mapped files, in MB."""
    for line in STATUS.read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError(f"{STATUS} has no RssAnon: this measurement needs Linux 4.5 or later.")


class PeakMemory:
    """The most anonymous memory that was seen."""

    def __init__(self) -> None:
        self.peak_mb = anonymous_mb()

    def look(self) -> None:
        self.peak_mb = max(self.peak_mb, anonymous_mb())


@contextmanager
def watched(every: float = 0.002) -> Any:
    """Watch the memory of this process, looking at it every so many seconds, while the block runs."""
    watch = PeakMemory()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(every):
            watch.look()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.look()
        ended.set()
        thread.join()
