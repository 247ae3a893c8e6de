"""Executors that derive from ``concurrent.futures.Executor`` alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ffnn
from ffnn.executor import BaseExecutor
from ffnn.parallel.foreign import ForeignExecutor, adapt, unwrap
from ffnn.parallel.tasks.budget import cpu_count


class Cluster(ThreadPoolExecutor):
    n_workers = 3
    n_hosts = 2
    bytes_sent = 1_000_000
    prepared = 0

    def prepare(self) -> None:
        self.prepared += 1

    def diagnose(self) -> list[Any]:
        return []


def test_the_defaults_are_those_of_the_base_class() -> None:
    with ThreadPoolExecutor(1) as threads:
        adapted = adapt(threads)
        assert adapted.n_workers == adapted.n_workers_left == cpu_count()
        assert (adapted.n_hosts, adapted.n_left_out, adapted.n_retries, adapted.bytes_sent) == (1, 0, 0, 0)
        assert adapted.dashboard_link is None
        assert adapted.diagnose() is None
        adapted.prepare()
        assert adapted.submit(abs, -1).result(60) == 1


def test_what_the_executor_has_itself_is_used() -> None:
    cluster = Cluster(1)
    with ffnn.pool(cluster) as pool:
        assert pool.executor is cluster
        assert cluster.prepared == 1
        assert pool.summary().startswith("0 tasks on 3 workers of 2 hosts in")
        assert pool.summary().endswith("1.0 MB sent")
    assert adapt(cluster).diagnose() == []


def test_an_executor_is_wrapped_once() -> None:
    with ThreadPoolExecutor(1) as threads:
        adapted = adapt(threads)
        assert isinstance(adapted, ForeignExecutor)
        assert adapt(adapted) is adapted
        assert unwrap(adapted) is threads
    own: BaseExecutor = ffnn.pool(n_workers=1).executor  # type: ignore[assignment]
    assert unwrap(adapt(own)) is own
