"""scikit-learn's callbacks in tasks: what they report arrives, wherever the task runs."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
import warnings
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate

import ffnn
from tests.support.containers import Podman
from tests.support.dask_cluster import Authority, Cluster, MakeCluster, wait_for
from tests.support.needs import lacks
from tests.support.sshd import Network

callback = pytest.importorskip("sklearn.callback")

pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("ignore:lbfgs failed to converge")]

X, Y = load_iris(return_X_y=True)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal with room for a whole bar."""
    monkeypatch.setenv("COLUMNS", "200")


def search(monitor: Any) -> GridSearchCV:
    regression = LogisticRegression(max_iter=5).set_callbacks(monitor)
    search = GridSearchCV(regression, {"C": [0.1, 1.0]}, cv=2)
    return search.set_callbacks(callback.ProgressBar(max_propagation_depth=None))


def logged(monitor: Any) -> dict[tuple[int, ...], float]:
    return {tuple(row["task_id_path"]): row["accuracy"] for row in monitor.get_logs().data}


def check_that_all_arrives(pool: Any, capsys: Any) -> None:
    here, there = callback.ScoringMonitor(scoring="accuracy"), callback.ScoringMonitor(scoring="accuracy")
    search(here).fit(X, Y)
    expected = capsys.readouterr().out
    with warnings.catch_warnings(), pool:
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "lbfgs failed to converge")
        search(there).fit(X, Y)
        assert logged(there) == logged(here)  # with the result at the latest, not only at the end of the pool
    shown = capsys.readouterr().out
    assert shown.count("100%") == expected.count("100%") == len(expected.strip().splitlines())


@pytest.fixture
def python_elsewhere(tmp_path: Path) -> Path:
    """A Python for which the folder of this process's sockets is empty, as on another machine."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        lacks("no mount namespaces may be made here")
    path = tmp_path / "python"
    inside = f'mount -t tmpfs none {get_temp_dir()} && exec "$0" "$@"'
    path.write_text(f"#!/bin/sh\nexec unshare --mount sh -c '{inside}' {sys.executable} \"$@\"\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def over_ssh(network: Network, python: Path, *hosts: str) -> Any:
    return ffnn.pool("ssh", hosts=hosts, python=str(python), config=network.config, progress=False)


def test_all_arrives_from_containers(podman: Podman, tmp_path: Path, capsys: Any) -> None:
    check_that_all_arrives(ffnn.pool("container", n_workers=2, progress=False, **podman.options([tmp_path])), capsys)
    podman.wait_for(n=0)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_all_arrives_over_ssh(ssh_network: Network, python_elsewhere: Path, capsys: Any) -> None:
    check_that_all_arrives(over_ssh(ssh_network, python_elsewhere, "alpha", "beta"), capsys)


@pytest.mark.slow
def test_all_arrives_from_dask_workers_on_other_machines(
    dask_cluster: MakeCluster, dask_authority: Authority, python_elsewhere: Path, capsys: Any
) -> None:
    cluster: Cluster = dask_cluster()
    cluster.worker(threads=2, python=python_elsewhere, nanny=False)
    check_that_all_arrives(
        ffnn.pool("dask", address=cluster.address, security=dask_authority.security(), progress=False), capsys
    )


def test_models_that_come_back_report_here(ssh_network: Network, python_elsewhere: Path) -> None:
    monitor = callback.ScoringMonitor(scoring="accuracy")
    regression = LogisticRegression(max_iter=5).set_callbacks(monitor)
    with over_ssh(ssh_network, python_elsewhere, "alpha"):
        there = cross_validate(regression, X, Y, cv=2, return_estimator=True)["estimator"]
        n_rows = len(monitor.get_logs().data)
        there[0].fit(X, Y)  # while its worker runs
    there[1].fit(X, Y)
    assert len(monitor.get_logs().data) == n_rows


def test_messages_for_callbacks_that_are_gone_are_dropped_and_relays_are_few() -> None:
    from sklearn.callback._transport import ListenerHandle, send

    def report(handles: list[ListenerHandle]) -> int:
        for handle in handles[-3:]:
            send(handle, "hello")
        return sum(thread.name == "ffnn-relay" for thread in threading.enumerate())

    with ffnn.pool("multiprocessing", n_workers=1, progress=False) as pool:
        for start in range(0, 300, 60):
            handles = [ListenerHandle(f"/no/{i}", b"key") for i in range(start, start + 60)]
            assert pool.submit(report, handles).result(60) <= 70  # those that were closed end soon
        wait_for(lambda: pool.submit(report, []).result(60) <= 64, "no more than 64 relays are kept")


def test_an_address_that_can_be_reached_stays_itself() -> None:
    from sklearn.callback._transport import open_listener, send

    heard: list[Any] = []
    handle = open_listener(heard.append)
    with ffnn.pool("multiprocessing", n_workers=1, progress=False) as pool:
        assert pool.submit(lambda given: (send(given, np.pi), given)[1], handle).result(60) == handle
    assert heard == [np.pi]
