"""Transformers that are shared by the workers of all hosts, wherever they are; on this machine: tests/parallel."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

import ffnn
from tests.support.agents import wait_until
from tests.support.containers import Podman
from tests.support.counting import assert_same_scores, counted, counting, search, texts
from tests.support.dask_cluster import Authority, Cluster
from tests.support.faults import once
from tests.support.sshd import Network

pytestmark = pytest.mark.timeout(240)


def test_ssh_hosts_fit_once_a_fold_together_also_if_a_worker_is_killed(ssh_network: Network, tmp_path: Path) -> None:
    X, y = texts()
    log = tmp_path / "log"

    def die() -> None:
        time.sleep(0.5)  # until others wait
        os.kill(os.getpid(), signal.SIGKILL)

    grid = {"classifier__C": [10.0**n for n in range(-6, 6)]}
    vectorizer = counting(log, once(tmp_path / "done", die))
    options = {"python": sys.executable, "config": ssh_network.config, "workers_per_host": 2, "progress": False}
    with ffnn.pool("ssh", hosts=["alpha", "beta"], share=True, **options) as pool:
        shared = search(vectorizer, grid).fit(X, y)
        assert pool.n_retries == 1
        alpha, beta = (set(os.listdir(host.facts.shared)) for host in pool.executor.hosts)
    assert counted(log) == {"fit": 3 + 1, "transform": 3}  # of 36 each; one is that of the worker that was killed
    assert len(alpha | beta) == 6
    assert alpha & beta  # what one has computed and the other was sent
    assert_same_scores(shared, search(counting(log), grid, n_jobs=1).fit(X, y))
    for host in ssh_network.hosts.values():
        wait_until(lambda host=host: not list(host.tmp.glob("ffnn-*")), f"nothing is left on {host.name}")


def test_dask_workers_share(two_slots: Cluster, dask_authority: Authority, tmp_path: Path) -> None:
    X, y = texts()
    log = tmp_path / "log"
    with ffnn.pool("dask", address=two_slots.address, security=dask_authority.security(), share=True, progress=False):
        shared = search(counting(log)).fit(X, y)
    assert counted(log) == {"fit": 3, "transform": 3}
    assert_same_scores(shared, search(counting(log), n_jobs=1).fit(X, y))
    wait_until(lambda: not two_slots.leftovers(), "the folders are gone")


def test_containers_share_and_nothing_else_is_shared_with_them(podman: Podman, tmp_path: Path) -> None:
    X, y = texts()
    log = tmp_path / "log"
    options = podman.options([tmp_path], progress=False, n_workers=2, cpus=0.5)
    with ffnn.pool("container", share=True, **options) as pool:
        shared = search(counting(log)).fit(X, y)
        assert counted(log) == {"fit": 3, "transform": 3}
        [host] = pool.executor.hosts
        assert len(os.listdir(host.facts.shared)) == 6
        folder = Path(host.facts.folder)
    assert not folder.exists()
    assert_same_scores(shared, search(counting(log), n_jobs=1).fit(X, y))
    with ffnn.pool("container", **options) as pool:
        assert not pool.submit(lambda: os.path.exists("/ffnn/shared")).result(120)
    podman.wait_for(n=0)
