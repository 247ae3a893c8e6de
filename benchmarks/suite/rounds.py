"""Runs the contestants of a work in turn, each in a process of its own: A B C, A B C, A B C.

A contestant that fails or takes too long is a row of the table, and is not asked again in this work.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.suite import child
from benchmarks.suite.contest import Results, Work
from benchmarks.suite.machine import machine

ROOT = Path(__file__).parents[2]
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
Log = Callable[[str], None]


@dataclass(frozen=True)
class Profile:
    """The size of a measurement.

    Parameters
    ----------
    name : str
        The key of a work's sizes.
    rounds : int
        How often each contestant is run.
    limit : float
        The seconds after which one is ended.
    fork : bool
        Whether contestants that allow it are forked from a process that has imported the engine.
    """

    name: str
    rounds: int
    limit: float
    fork: bool = False


PROFILES = {
    "full": Profile("full", rounds=3, limit=1800.0),
    "quick": Profile("quick", rounds=1, limit=60.0, fork=True),
    "tiny": Profile("tiny", rounds=1, limit=120.0),
}


def run_child(work: Work, contestant: str, profile: Profile, number: int) -> dict[str, Any]:
    """Run one process; return what it reports, or ``{"error": why}``."""
    start = _forked if profile.fork and contestant in work.forked else _started
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "measured.json")
        status = start((work.key, contestant, profile.name, number, str(path)), profile.limit)
        if path.exists() and not status:
            return dict(json.loads(path.read_text()))
    if status is None:
        return {"error": f"over its limit of {profile.limit:g} s"}
    return {"error": f"ended by signal {-status}" if status < 0 else f"exit status {status}"}


def _started(arguments: tuple[Any, ...], limit: float) -> int | None:
    """Run a new process; return its exit status, or None if it took too long."""
    command = [sys.executable, "-m", "benchmarks.suite.child", *map(str, arguments)]
    try:
        return subprocess.run(
            command, cwd=ROOT, env=os.environ | QUIET, capture_output=True, check=False, timeout=limit
        ).returncode
    except subprocess.TimeoutExpired:
        return None


@contextmanager
def _silent() -> Iterator[None]:
    """Let processes that are started meanwhile print nothing to the standard error."""
    sys.stderr.flush()
    kept, silence = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(silence)


def _forked(arguments: tuple[Any, ...], limit: float) -> int | None:
    """Run a process that is forked from one with the engine in it: seconds less each time."""
    os.environ.update(QUIET)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "keras", "sklearn.neural_network"])
    process = context.Process(target=child.fork, args=arguments)
    with _silent():  # the server, which the first call starts, prints what the engine thinks of itself
        process.start()
    process.join(limit)
    if process.exitcode is None:
        process.kill()
        process.join()
        return None
    return process.exitcode


def told(run: dict[str, Any]) -> str:
    """Return what a run reports, in a line."""
    if "error" in run:
        return f"failed: {run['error']}"
    parts = [f"{name} {seconds:.3g} s" for name, seconds in run["seconds"].items()]
    parts += [f"{name} {value:.4g}" for name, value in run["figures"].items()]
    parts += [f"{check['name']} IS WRONG: {check['value']:.3g}" for check in run["checks"] if not check["passed"]]
    return ", ".join(parts) + (f" ({run['note']})" if run["note"] else "")


def measure(work: Work, profile: Profile, *, log: Log = print) -> dict[str, Any]:
    """Run a work's rounds and judge its bars; return both as they are stored."""
    log(f"\n{work.key}: {work.title}")
    data = None
    if work.prepare is not None:
        made = run_child(work, "--prepare", replace(profile, limit=max(profile.limit, 300.0)), 0)
        data = made.get("data")
        log(f"  data: {made.get('error') or data}")
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in work.contestants}
    n_rounds = work.rounds.get(profile.name, profile.rounds)
    for number in range(-work.discarded, n_rounds):
        for name in work.contestants:
            if any("error" in run for run in runs[name]):
                continue
            start = time.perf_counter()
            run = run_child(work, name, profile, number)
            if number >= 0 or "error" in run:
                runs[name].append(run)
                log(f"  {number + 1}/{n_rounds} {name}: {told(run)} [{time.perf_counter() - start:.0f} s in all]")
    bars = [bar.judge(Results(runs)) for bar in work.bars]
    head = {"key": work.key, "title": work.title, "data": data, "size": profile.name, "date": str(date.today())}
    return head | {"machine": machine(), "runs": runs, "bars": bars}
