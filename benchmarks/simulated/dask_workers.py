"""Dask workers that only pretend: each tells the scheduler a given time after a task has come that it is done.

    python benchmarks/simulated/dask_workers.py ADDRESS FIRST N SECONDS

They register as ``distributed.Worker`` does and speak its batched stream; they keep no data and answer no one else, so
a client can wait for futures but not fetch their results. They end with the scheduler.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import sys
from typing import Any

from distributed.comm import connect
from distributed.core import CommClosedError
from distributed.metrics import time
from distributed.versions import get_versions

NONE_TYPE = pickle.dumps(type(None))
METRICS = {
    "task_counts": {},
    "bandwidth": {"total": 1e8, "workers": {}, "types": {}},
    "digests_total_since_heartbeat": {},
    "managed_bytes": 0,
    "spilled_bytes": {"memory": 0, "disk": 0},
    "transfer": {
        "incoming_bytes": 0,
        "incoming_count": 0,
        "incoming_count_total": 0,
        "outgoing_bytes": 0,
        "outgoing_count": 0,
        "outgoing_count_total": 0,
    },
    "event_loop_interval": 0.02,
    "cpu": 0.0,
    "memory": 1 << 25,
    "time": 0.0,
}


async def work(scheduler: str, number: int, seconds: float, versions: dict[str, Any]) -> None:
    """Be one worker."""
    comm = await connect(scheduler, timeout=120)
    address = f"tcp://127.0.{1 + number // 250}.1:{40000 + number}"  # nobody listens there
    await comm.write(
        {
            "op": "register-worker",
            "reply": False,
            "address": address,
            "status": "running",
            "nthreads": 1,
            "name": f"simulated-{number}",
            "now": time(),
            "resources": {},
            "memory_limit": 1 << 32,
            "local_directory": "/nowhere",
            "services": {},
            "nanny": None,
            "pid": 0,
            "versions": versions,
            "metrics": METRICS,
            "extra": {},
            "stimulus_id": f"simulated-{number}",
            "server_id": f"Worker-{number}",
        },
        serializers=["msgpack"],
    )
    await comm.read()
    answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def answer() -> None:
        while True:
            batch = [await answers.get()]
            while not answers.empty():
                batch.append(answers.get_nowait())
            await comm.write(batch)

    speaker = asyncio.create_task(answer())
    free = 0.0  # when it has done what it was told: one task after the other, on one thread
    with contextlib.suppress(CommClosedError, OSError):
        while True:
            for order in await comm.read():
                if order["op"] != "compute-task":
                    continue
                now = max(free, time())
                free = now + seconds
                done = {
                    "op": "task-finished",
                    "status": "OK",
                    "key": order["key"],
                    "run_id": order["run_id"],
                    "nbytes": 16,
                    "type": NONE_TYPE,
                    "typename": "NoneType",
                    "metadata": {},
                    "thread": 1,
                    "startstops": [{"action": "compute", "start": now, "stop": free}],
                    "stimulus_id": f"task-finished-{now}",
                }
                if seconds:
                    loop.call_later(free - time(), answers.put_nowait, done)
                else:
                    answers.put_nowait(done)
    speaker.cancel()


async def main() -> None:
    """Be all of them."""
    scheduler, first, n_workers, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    versions = get_versions()
    await asyncio.gather(*(work(scheduler, first + index, seconds, versions) for index in range(n_workers)))


if __name__ == "__main__":
    asyncio.run(main())
