"""Measures the cost of a task: many short tasks on ffnn's workers, on loky's and on Dask's, side by side.

    python benchmarks/pool_overhead.py [--tasks 1000] [--seconds 0.01] [--n-workers 2] [--rounds 3]
        [--only ffnn loky dask ...] [--json FILE]

Contestants: ``ffnn`` (the executor multiprocessing, by ``submit``), ``ffnn+joblib``; ``loky`` (``submit``),
``loky+joblib``; ``dask`` (``Client.map``), ``dask+joblib``; ``ffnn-dask``, ``ffnn-dask+joblib`` (ffnn's executor on the
same kind of cluster); ``ffnn-ssh``, ``ffnn-ssh+joblib`` (two real sshd on loopback addresses), ``ffnn-container``,
``ffnn-container+joblib``. What is not installed is skipped, with the reason. Each round runs all of them, one after the
other, in an order of its own, so that what else the machine does meets them alike; the floor is the tasks' own time on
that many workers. CPU is that of all processes of a contestant, divided by the tasks.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import psutil

import ffnn

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests.support has the SSH servers

Run = Callable[[int, float], None]


def by_joblib(n_tasks: int, seconds: float) -> None:
    """Run the tasks where joblib is told to."""
    joblib.Parallel(batch_size=1)(joblib.delayed(time.sleep)(seconds) for _ in range(n_tasks))


def by_submit(executor: Any) -> Run:
    """Return what runs tasks on an executor."""

    def run(n_tasks: int, seconds: float) -> None:
        for future in [executor.submit(time.sleep, seconds) for _ in range(n_tasks)]:
            future.result()

    return run


@contextlib.contextmanager
def on_ffnn(name: str, joblib_too: bool, **options: Any) -> Iterator[Run]:
    """Use an executor of ffnn."""
    with ffnn.pool(name, progress=False, **options) as pool:
        yield by_joblib if joblib_too else by_submit(pool.executor)


@contextlib.contextmanager
def multiprocessing(n_workers: int, joblib_too: bool) -> Iterator[Run]:
    """Use worker processes on this machine."""
    with on_ffnn("multiprocessing", joblib_too, n_workers=n_workers) as run:
        yield run


@contextlib.contextmanager
def container(n_workers: int, joblib_too: bool) -> Iterator[Run]:
    """Use containers on this machine."""
    with on_ffnn("container", joblib_too, n_workers=n_workers) as run:
        yield run


@contextlib.contextmanager
def ssh(n_workers: int, joblib_too: bool) -> Iterator[Run]:
    """Use two SSH servers on loopback addresses, with half of the workers each."""
    from tests.support.sshd import Network, network

    hosts = {"alpha": "127.0.0.2", "beta": "127.0.0.3"} if n_workers > 1 else {"alpha": "127.0.0.2"}
    shares = {name: (n_workers + index) // len(hosts) for index, name in enumerate(hosts)}
    with (
        network(Network, hosts) as made,
        on_ffnn(
            "ssh", joblib_too, hosts=list(hosts), workers_per_host=shares, config=made.config, python=sys.executable
        ) as run,
    ):
        yield run


@contextlib.contextmanager
def loky(n_workers: int, joblib_too: bool) -> Iterator[Run]:
    """Use loky's workers."""
    from joblib.externals.loky import get_reusable_executor

    if joblib_too:
        with joblib.parallel_config("loky", n_jobs=n_workers):
            yield by_joblib
    else:
        yield by_submit(get_reusable_executor(max_workers=n_workers))
    get_reusable_executor().shutdown(wait=True)


@contextlib.contextmanager
def cluster(n_workers: int) -> Iterator[Any]:
    """Start a Dask cluster of processes with one thread each."""
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set({"distributed.worker.daemon": True}),
        LocalCluster(
            n_workers=n_workers, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as made,
        Client(made) as client,
    ):
        client.wait_for_workers(n_workers)
        yield client


@contextlib.contextmanager
def dask(n_workers: int, joblib_too: bool) -> Iterator[Run]:
    """Use Dask's workers."""
    with cluster(n_workers) as client:

        def run(n_tasks: int, seconds: float) -> None:
            client.gather(client.map(time.sleep, [seconds] * n_tasks, pure=False))

        if joblib_too:
            with joblib.parallel_config("dask", n_jobs=-1):
                yield by_joblib
        else:
            yield run


@contextlib.contextmanager
def ffnn_dask(n_workers: int, joblib_too: bool) -> Iterator[Run]:
    """Use ffnn's children of Dask's workers."""
    with cluster(n_workers) as client, on_ffnn("dask", joblib_too, client=client) as run:
        yield run


KINDS: dict[str, Callable[[int, bool], Any]] = {
    "ffnn": multiprocessing,
    "loky": loky,
    "dask": dask,
    "ffnn-ssh": ssh,
    "ffnn-dask": ffnn_dask,
    "ffnn-container": container,
}
CONTESTANTS = [f"{kind}{way}" for kind in KINDS for way in ("", "+joblib")]
USUAL = ["ffnn", "ffnn+joblib", "loky", "loky+joblib", "dask", "dask+joblib"]


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its living descendants."""
    total = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def measure(name: str, n_tasks: int, seconds: float, n_workers: int) -> tuple[float, float]:
    """Return the wall time and the CPU time of the tasks, on warm workers."""
    kind, _, way = name.partition("+")
    with KINDS[kind](n_workers, bool(way)) as run:
        run(10 * n_workers, seconds)
        cpu, start = cpu_seconds(), time.perf_counter()
        run(n_tasks, seconds)
        wall = time.perf_counter() - start
        return wall, cpu_seconds() - cpu


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=0.01, help="the length of a task")
    parser.add_argument("--n-workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=USUAL, help=f"default: {' '.join(USUAL)}")
    parser.add_argument("--json", type=Path, help="where to write the figures, too")
    args = parser.parse_args()

    names = list(args.only)
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for _ in range(args.rounds):
        for name in random.sample(names, len(names)):
            try:
                figures[name].append(measure(name, args.tasks, args.seconds, args.n_workers))
            except Exception as error:
                names.remove(name)
                print(f"{name} is left out: {type(error).__name__}: {error}\n", file=sys.stderr)

    floor = args.tasks * args.seconds / args.n_workers
    print(
        f"{args.tasks} tasks of {args.seconds * 1e3:g} ms on {args.n_workers} workers; floor {floor:.2f} s; "
        f"medians of {args.rounds} rounds; {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}\n"
    )
    print(f"| | wall (min to max) | of the floor | of {names[0]} | CPU a task |")
    print("| --- | --- | --- | --- | --- |")
    walls = {name: [wall for wall, _ in figures[name]] for name in names}
    rows = {}
    for name in names:
        median = statistics.median(walls[name])
        # ratios round by round, as the machine is another from round to round
        ratio = statistics.median(a / b for a, b in zip(walls[name], walls[names[0]], strict=True))
        cpu = statistics.median(cpu for _, cpu in figures[name]) / args.tasks
        rows[name] = {"wall": walls[name], "of_floor": median / floor, "of_first": ratio, "cpu_per_task": cpu}
        spread = f"{min(walls[name]):.2f} to {max(walls[name]):.2f}"
        print(f"| {name} | {median:.2f} s ({spread}) | {median / floor:.2f} | {ratio:.2f} | {cpu * 1e3:.2f} ms |")
    if args.json:
        settings = {key: getattr(args, key) for key in ("tasks", "seconds", "n_workers", "rounds")}
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({**settings, "floor": floor, "contestants": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
