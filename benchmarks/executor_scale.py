"""Measures how far one client scales: 100,000 queued tasks and 1,000 workers, for ffnn and for Dask's scheduler.

    python benchmarks/executor_scale.py [--tasks 100000] [--workers 10 100 300 1000] [--seconds 0 0.1 1]
        [--kinds ffnn dask] [--out benchmarks/results]

The client is the real one, and so is Dask's scheduler (a process of its own). The workers are simulated, in other
processes, which answer a task at once or after a given time (benchmarks/simulated): what is measured is what it costs
to hand out tasks, not to run them. ffnn's are spread over 20 hosts, each with a connection of its own.

Every point is measured in a fresh process. CPU is that of the client, and of Dask's scheduler, divided by the tasks;
what the simulation takes does not count, but it shares the machine. Dask's futures are waited for but not fetched, as
nobody keeps their results; ffnn's results have arrived. Tasks of 0 s show how many tasks a second can be handed out;
others show what share of the workers' time is used: 1 is perfect. On a machine that has other work only the CPU a task
says something: wall times favour who has more threads.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import json
import operator
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from simulated.hosts import make_executor  # noqa: E402 - it lies beside this file

BUSY = 10.0  # seconds that tasks of some length take at best
LIMIT = 900.0  # seconds for a point

Point = dict[str, Any]


def rss() -> int:
    """Return the memory of this process in bytes."""
    return int(psutil.Process().memory_info().rss)


def n_files(pid: int | str = "self") -> int:
    """Return the number of open file descriptors."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def ffnn_memory(n_tasks: int, n_workers: int) -> Point:
    """Measure what a queued task takes, before there is any worker."""
    gate = threading.Event()
    executor = make_executor(n_workers, 0.0, gate)
    before = rss()
    futures = [executor.submit(operator.neg, 0)]
    with_threads, start = rss(), time.perf_counter()
    futures += [executor.submit(operator.neg, index) for index in range(n_tasks)]
    submitted = time.perf_counter() - start
    full, start = rss(), time.perf_counter()
    for future in futures:
        future.cancel()
    cancelled = time.perf_counter() - start
    gate.set()
    executor.shutdown()
    return {
        "bytes_per_task": (full - with_threads) / n_tasks,
        "bytes_per_idle_worker": (with_threads - before) / n_workers,
        "submit_seconds": submitted,
        "cancel_seconds": cancelled,
    }


def ffnn_speed(n_tasks: int, n_workers: int, seconds: float) -> Point:
    """Measure how fast tasks go through."""
    gate = threading.Event()
    gate.set()
    executor = make_executor(n_workers, seconds, gate)
    start = time.perf_counter()
    executor.prepare()
    concurrent.futures.wait([executor.submit(operator.neg, 0) for _ in range(2 * n_workers)])
    ready = time.perf_counter() - start
    cpu, start = time.process_time(), time.perf_counter()
    futures = [executor.submit(operator.neg, index) for index in range(n_tasks)]
    submitted = time.perf_counter() - start
    concurrent.futures.wait(futures)
    wall = time.perf_counter() - start
    point = {
        "wall": wall,
        "submit_seconds": submitted,
        "ready_seconds": ready,
        "cpu_per_task": (time.process_time() - cpu) / n_tasks,
        "threads": threading.active_count(),
        "files": n_files(),
        "failed": sum(future.exception() is not None for future in futures),
        "rss": rss(),
    }
    start = time.perf_counter()
    executor.shutdown()
    return {**point, "shutdown_seconds": time.perf_counter() - start}


@contextlib.contextmanager
def dask_scheduler() -> Iterator[tuple[psutil.Process, str]]:
    """Start Dask's scheduler."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scheduler.json"
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
        command += ["--no-dashboard", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file)]
        environment = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "1h"}
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            while not file.exists() or not file.read_text().strip():
                time.sleep(0.05)
            yield psutil.Process(process.pid), json.loads(file.read_text())["address"]
        finally:
            process.kill()
            process.wait()


def dask_memory(n_tasks: int, n_workers: int) -> Point:
    """Measure what a queued task takes, before there is any worker."""
    from distributed import Client

    with dask_scheduler() as (scheduler, address), Client(address) as client:
        client.submit(operator.neg, 0, pure=False)
        before, there, start = rss(), scheduler.memory_info().rss, time.perf_counter()
        futures = client.map(operator.neg, range(n_tasks), pure=False)
        submitted = time.perf_counter() - start
        while client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)) < n_tasks:
            time.sleep(0.2)
        time.sleep(1.0)
        client_bytes, scheduler_bytes = rss() - before, scheduler.memory_info().rss - there
        start = time.perf_counter()
        client.cancel(futures)
        return {
            "bytes_per_task": (client_bytes + scheduler_bytes) / n_tasks,
            "client_bytes_per_task": client_bytes / n_tasks,
            "submit_seconds": submitted,
            "cancel_seconds": time.perf_counter() - start,
        }


def dask_speed(n_tasks: int, n_workers: int, seconds: float) -> Point:
    """Measure how fast tasks go through."""
    from distributed import Client, wait

    def cpu() -> float:
        times = scheduler.cpu_times()
        return time.process_time() + times.user + times.system

    with dask_scheduler() as (scheduler, address), Client(address) as client, contextlib.ExitStack() as stack:
        start, n_processes = time.perf_counter(), min(4, n_workers)
        for index in range(n_processes):
            first, last = index * n_workers // n_processes, (index + 1) * n_workers // n_processes
            command = [sys.executable, str(HERE / "simulated" / "dask_workers.py"), address]
            process = subprocess.Popen([*command, str(first), str(last - first), str(seconds)])
            stack.callback(process.wait)
            stack.callback(process.kill)
        client.wait_for_workers(n_workers)
        wait(client.map(operator.neg, range(2 * n_workers), pure=False))
        ready = time.perf_counter() - start
        before, start = cpu(), time.perf_counter()
        futures = client.map(operator.neg, range(n_tasks), pure=False)
        submitted = time.perf_counter() - start
        wait(futures)
        return {
            "wall": time.perf_counter() - start,
            "submit_seconds": submitted,
            "ready_seconds": ready,
            "cpu_per_task": (cpu() - before) / n_tasks,
            "threads": threading.active_count() + scheduler.num_threads(),
            "files": n_files() + n_files(scheduler.pid),
            "failed": sum(future.status != "finished" for future in futures),
            "rss": rss() + scheduler.memory_info().rss,
        }


def measure(kind: str, n_workers: int, seconds: float, n_tasks: int) -> Point:
    """Measure one point in a fresh process."""
    order = [kind, str(n_workers), str(seconds), str(n_tasks)]
    command = [sys.executable, __file__, "--point", *order]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            point = json.loads(process.communicate(timeout=LIMIT)[0].splitlines()[-1])
        except (subprocess.TimeoutExpired, ValueError, IndexError) as error:
            os.killpg(process.pid, signal.SIGKILL)  # with the scheduler and the simulation
            point = {"error": f"none after {LIMIT:g} s" if isinstance(error, subprocess.TimeoutExpired) else str(error)}
    if "wall" in point:
        point["tasks_per_second"] = n_tasks / point["wall"]
        point["efficiency"] = n_tasks * seconds / n_workers / point["wall"]
    point = {
        "kind": kind,
        "workers": n_workers,
        "seconds": seconds,
        "tasks": n_tasks,
        "load": os.getloadavg()[0],
        **point,
    }
    print(json.dumps(point), flush=True)
    return point


def run_point(kind: str, n_workers: int, seconds: float, n_tasks: int) -> Point:
    """Measure one point in this process."""
    if kind.endswith("-memory"):
        return (ffnn_memory if kind.startswith("ffnn") else dask_memory)(n_tasks, n_workers)
    return (ffnn_speed if kind == "ffnn" else dask_speed)(n_tasks, n_workers, seconds)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 300, 1000])
    parser.add_argument("--seconds", type=float, nargs="+", default=[0.0, 0.1, 1.0])
    parser.add_argument("--kinds", nargs="+", choices=["ffnn", "dask"], default=["ffnn", "dask"])
    parser.add_argument("--out", type=Path, help="a folder for executor_scale.json and executor_scale.md")
    parser.add_argument("--point", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        kind, n_workers, seconds, n_tasks = args.point
        print(json.dumps(run_point(kind, int(n_workers), float(seconds), int(n_tasks))))
        return
    points = [measure(f"{kind}-memory", max(args.workers), 0.0, args.tasks) for kind in args.kinds]
    for seconds in args.seconds:
        for n_workers in args.workers:
            n_tasks = args.tasks if n_workers == max(args.workers) else args.tasks // 5
            if seconds:
                n_tasks = min(args.tasks, max(round(BUSY / seconds), 3) * n_workers)
            points += [measure(kind, n_workers, seconds, n_tasks) for kind in args.kinds]
    text = markdown(points)
    print(f"\n{text}")
    if args.out:
        machine = f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
        args.out.mkdir(parents=True, exist_ok=True)
        figures = json.dumps({"machine": machine, "points": points}, indent=1)
        (args.out / "executor_scale.json").write_text(f"{figures}\n")
        (args.out / "executor_scale.md").write_text(f"`python benchmarks/executor_scale.py` on {machine}.\n\n{text}\n")


def markdown(points: list[Point]) -> str:
    """Return tables of the points."""
    lines = ["| queued tasks | | memory a task | submitted in | cancelled in |", "| --- | --- | --- | --- | --- |"]
    for point in points:
        if "bytes_per_task" in point:
            name, size = point["kind"].removesuffix("-memory"), point["bytes_per_task"] / 1e3
            lines.append(
                f"| {point['tasks']:,} | {name} | {size:.1f} kB "
                f"| {point['submit_seconds']:.1f} s | {point['cancel_seconds']:.1f} s |"
            )
    lines += ["", "| task | workers | | tasks | tasks/s | CPU a task | use of workers | threads | files | load |"]
    lines += ["| --- " * 10 + "|"]
    for point in points:
        if point["kind"].endswith("-memory"):
            continue
        head = f"| {point['seconds']:g} s | {point['workers']:,} | {point['kind']} | {point['tasks']:,} "
        if "wall" not in point:
            lines.append(f"{head}| {point.get('error')} | | | | | |")
            continue
        use = f"{point['efficiency']:.2f}" if point["seconds"] else ""
        lines.append(
            f"{head}| {point['tasks_per_second']:,.0f} | {point['cpu_per_task'] * 1e6:,.0f} µs | {use} "
            f"| {point['threads']:,} | {point['files']:,} | {point['load']:.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
