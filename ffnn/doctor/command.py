"""The main function of ``ffnn doctor``."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from ffnn._utils.console import show, warn
from ffnn.doctor import options
from ffnn.exceptions import FfnnError
from ffnn.executor import BaseExecutor
from ffnn.parallel.backend import make_executor
from ffnn.parallel.slots.diagnosis import Diagnosis, diagnose_tasks, look_here
from ffnn.plugins import registry

__all__ = ["main"]

_USAGE = "usage: ffnn doctor [NAME] [--OPTION VALUE ...] [--json]"
_DESCRIPTION = f"""\
{_USAGE}

Check whether the hosts of an executor can be used: whether they can be reached, have the versions of this machine,
and can start a worker. Prints a table and a remedy for each problem.

  NAME              one of the executors that `ffnn plugins` lists, multiprocessing by default; or --executor NAME
  --OPTION VALUE    an option of the executor, as ffnn.pool(NAME, ...) takes it: workers_per_host=2 is
                    --workers-per-host 2; a list is several values, a dictionary several KEY=VALUE;
                    a value that begins with two dashes is joined: --arguments=--device=/dev/kvm
  --json            print JSON instead of a table
  --help            show this, and with NAME the options of that executor

Examples:
  ffnn doctor ssh --hosts alpha user@beta:2222 --python '~/ffnn/bin/python'
  ffnn doctor container --image ffnn --memory 4g
  ffnn doctor dask --address tcp://scheduler:8786

Exit status: 0 if all hosts can be used, 1 if one cannot, 2 if the command line is wrong."""
_UNUSABLE, _BAD_USAGE, _INTERRUPTED = 1, 2, 130
_END = 60.0  # seconds for an executor to shut down


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str
        The arguments after ``doctor``.

    Returns
    -------
    int
        The exit status: 0 if all hosts can be used, 1 if one cannot, 2 if the arguments are wrong.
    """
    try:
        named = list(argv[:1]) if argv and not argv[0].startswith("-") else []
        words = options.split(argv[len(named) :])
        if "executor" in words:
            named += words.pop("executor") or ["(none)"]
        if len(named) > 1 or named == ["(none)"]:
            raise options.UsageError(f"expected the name of one executor; got {' '.join(named)}.")
        name = named[0] if named else "multiprocessing"
        if "help" in words:
            show(_DESCRIPTION)
            if named:
                show("\n" + options.describe(registry.load("executor", name, "NAME"), name))
            return 0
        as_json = words.pop("json", None)
        if as_json:
            raise options.UsageError(f"--json takes no value; got {' '.join(as_json)!r}.")
        kind = registry.load("executor", name, "NAME")
        executor = make_executor(name, options.parse(kind, name, words))
    except (options.UsageError, TypeError, ValueError, FfnnError) as error:
        warn(f"{_USAGE}\nffnn doctor: error: {error}")
        return _BAD_USAGE
    try:
        with _ended(executor), _progress(", ".join(words.get("hosts", [])) or name):
            found = _diagnose(executor, name)
    except KeyboardInterrupt:
        warn("ffnn doctor: interrupted; nothing is left running")
        return _INTERRUPTED
    return _show(found, name, as_json is not None)


def _diagnose(executor: BaseExecutor, name: str) -> list[Diagnosis]:
    try:
        found = executor.diagnose()
    except Exception as error:
        return [Diagnosis(name, 0, error)]
    return [diagnose_tasks(executor, name)] if found is None else list(found)


def _show(found: list[Diagnosis], name: str, as_json: bool) -> int:
    from ffnn.doctor.table import as_data, as_text

    here = Diagnosis("here", 0, **{key: value for key, value in look_here().items() if key != "time"})
    data = as_data(found, here, name)
    show(json.dumps(data, indent=2) if as_json else as_text(found, here))
    return 0 if data["usable"] else _UNUSABLE


@contextlib.contextmanager
def _ended(executor: concurrent.futures.Executor) -> Iterator[None]:
    """Shut down the executor on exit; a third-party executor that hangs is abandoned after a timeout."""
    try:
        yield
    finally:
        thread = threading.Thread(target=executor.shutdown, kwargs={"cancel_futures": True}, daemon=True)
        thread.start()
        thread.join(_END)
        if thread.is_alive():
            warn(f"ffnn doctor: the executor did not shut down within {_END:g} seconds")


@contextlib.contextmanager
def _progress(what: str) -> Iterator[None]:
    """Show progress on standard error; in a terminal with the elapsed time, and cleared at the end."""
    start, done = time.monotonic(), threading.Event()
    line = f"looking at {what} ..."

    def tick() -> None:
        while not done.wait(0.5):
            warn(f"\r{line} {time.monotonic() - start:.0f} s", end="")
        warn(f"\r{' ' * (len(line) + 8)}\r", end="")

    if sys.stderr is None or not sys.stderr.isatty():
        warn(line)
        yield
        return
    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
