"""The executor `dask`: what it does for a user, on real clusters of this machine. See also test_dask_faults.py."""

from __future__ import annotations

import datetime
import http.server
import os
import re
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import joblib
import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster, Security
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV

import ffnn
from ffnn.exceptions import HostError, HostWarning, TaskTimeoutError, VersionMismatchError
from ffnn.testing.executors import ExecutorSuite
from ffnn_plugins.executors.dask import DaskExecutor
from tests.support.dask_cluster import Authority, Cluster, MakeCluster, python_with, wait_for

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def local() -> Iterator[LocalCluster]:
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        yield cluster


@pytest.fixture
def executor(two_slots: Cluster, dask_authority: Authority) -> Iterator[DaskExecutor]:
    executor = DaskExecutor(two_slots.address, security=dask_authority.security())
    yield executor
    executor.shutdown(cancel_futures=True)


class TestDask(ExecutorSuite):
    n_tries = 2

    @pytest.fixture(autouse=True)
    def clusters(self, two_slots: Cluster, local: LocalCluster, dask_authority: Authority) -> None:
        self.options: dict[int, dict[str, Any]] = {
            1: {"cluster": local},
            2: {"address": two_slots.address, "security": Security(**dask_authority.security())},
        }

    def make(self, n_workers: int) -> DaskExecutor:
        options = self.options[n_workers if n_workers in self.options else 2]
        return DaskExecutor(**options, n_workers=n_workers, max_retries=1)


# --- what is given


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, TypeError, "exactly one of address, client and cluster must be given; got none"),
        ({"address": "tcp://a:1", "cluster": 3}, TypeError, "got address and cluster"),
        ({"address": 8786}, TypeError, "address must be a string; got 8786"),
        ({"address": "alpha:8786"}, ValueError, "Pass 'tcp://alpha:8786'"),
        ({"address": "alpha"}, ValueError, "must begin with tls:// or tcp://; got 'alpha'"),
        ({"address": "http://alpha:80"}, ValueError, "must begin with one of .*tls.*; got 'http://alpha:80'"),
        ({"address": "tcp://alpha"}, ValueError, "HOST:PORT"),
        ({"address": "tcp://alpha:port"}, ValueError, "HOST:PORT"),
        ({"address": "tcp://alpha:99999"}, ValueError, "a port of 1 to 65535"),
        ({"address": "tls://alpha:1"}, ValueError, "needs security"),
        ({"address": "tls://alpha:1", "security": "ca.pem"}, TypeError, "security must be a distributed.Security"),
        ({"address": "tls://alpha:1", "security": {"ca": "x"}}, TypeError, "does not know.*'ca'.*tls_ca_file"),
        (
            {"address": "tls://alpha:1", "security": {"tls_ca_file": "/no/ca.pem", "tls_client_cert": "/no/c.pem"}},
            ValueError,
            "tls_ca_file must be a file; there is no '/no/ca.pem'",
        ),
        ({"address": "tcp://a:1", "security": Security(require_encryption=True)}, ValueError, "is not encrypted"),
        ({"client": "tcp://alpha:1"}, TypeError, "client must be a distributed.Client; got 'tcp://alpha:1'"),
        ({"cluster": "tcp://alpha:1"}, TypeError, "cluster must be a Dask cluster, .*got 'tcp://alpha:1'"),
        ({"address": "tcp://a:1", "min_workers": 0}, ValueError, "min_workers must be at least 1"),
        ({"address": "tcp://a:1", "max_retries": -1}, ValueError, "max_retries must be at least 0"),
        ({"address": "tcp://a:1", "threads_per_worker": 0}, ValueError, "threads_per_worker must be at least 1"),
        ({"address": "tcp://a:1", "task_timeout": "1"}, TypeError, "task_timeout must be a number of seconds"),
        ({"address": "tcp://a:1", "start_timeout": -1}, ValueError, "start_timeout must be a positive number"),
        ({"address": "tcp://a:1", "ignore_versions": ["nunpy"]}, ValueError, "Did you mean 'numpy'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    before = threading.active_count()
    with pytest.raises(error, match=message):
        ffnn.pool("dask", **options)
    assert threading.active_count() == before


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(TypeError, match="has no option 'adress'. Did you mean 'address'?"):
        ffnn.pool("dask", adress="tcp://a:1")


def test_nothing_starts_before_the_first_task() -> None:
    before = threading.active_count(), len(psutil.Process().net_connections())
    executor = DaskExecutor("tcp://127.0.0.1:9")
    assert executor.n_retries == executor.bytes_sent == 0
    assert executor.dashboard_link is None
    executor.shutdown()
    assert (threading.active_count(), len(psutil.Process().net_connections())) == before


def test_the_clients_and_clusters_of_the_user_stay_theirs(local: LocalCluster) -> None:
    with Client(local, set_as_default=False) as client:
        for options in ({"client": client}, {"cluster": local}):
            with ffnn.pool("dask", progress=False, **options) as pool:
                assert pool.submit(abs, -1).result(60) == 1
                with pytest.raises(ValueError, match="No clients found"):
                    distributed.default_client()
        assert client.submit(abs, -2).result(20) == 2
        assert client.status == "running"
    with pytest.raises(ValueError, match="client must be connected; it is closed"):
        DaskExecutor(client=client)


# --- who listens there


@pytest.fixture
def web_server() -> Iterator[int]:
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def refusal(address: str, security: Any = None) -> str:
    """Return what is said when a scheduler cannot be used, which takes seconds, and stays so."""
    start = time.monotonic()
    executor = DaskExecutor(address, security=security)
    error = executor.submit(abs, 1).exception(1)
    assert isinstance(error, HostError)
    assert error.host == address
    assert executor.n_workers == 1
    with pytest.raises(HostError) as caught:
        executor.prepare()
    assert caught.value is error
    assert time.monotonic() - start < 20
    return str(error)


def test_an_address_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert "nobody listens at tcp://127.0.0.1" in refusal(f"tcp://127.0.0.1:{port}")
    assert "nobody listens at tcp://no-such-host.invalid:1" in refusal("tcp://no-such-host.invalid:1")


def test_an_address_of_something_else(web_server: int, two_slots: Cluster, dask_authority: Authority) -> None:
    security = dask_authority.security()
    assert "no Dask scheduler" in refusal(f"tcp://127.0.0.1:{web_server}")
    assert "does not speak TLS" in refusal(f"tls://127.0.0.1:{web_server}", security)
    worker = two_slots.workers[0].address
    assert "did not let a Dask client in" in refusal(worker, security)


def test_a_peer_that_speaks_plain_tcp_and_one_that_speaks_tls(
    two_slots: Cluster, dask_cluster: MakeCluster, dask_authority: Authority
) -> None:
    plain = dask_cluster(tls=False)
    assert plain.address.startswith("tcp://")
    message = refusal(plain.address.replace("tcp:", "tls:"), dask_authority.security())
    assert "does not speak TLS" in message
    assert "whoever reaches its port can run code" in message
    assert "write tls://" in refusal(two_slots.address.replace("tls:", "tcp:"))


def test_wrong_certificates_on_either_side(two_slots: Cluster, dask_authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path)
    ours, theirs = dask_authority.security(), stranger.security()
    assert "its certificate is not one of the CA in tls_ca_file" in refusal(two_slots.address, theirs)
    message = refusal(two_slots.address, {**theirs, "tls_ca_file": ours["tls_ca_file"]})
    assert "it refuses the certificate in tls_client_cert" in message


def test_a_certificate_of_tomorrow_names_the_clock(dask_cluster: MakeCluster, dask_authority: Authority) -> None:
    cluster = dask_cluster(starts=datetime.timedelta(hours=3))
    message = refusal(cluster.address, dask_authority.security())
    assert "not yet valid" in message
    assert "Compare the clocks" in message


# --- versions


def test_a_worker_of_other_versions_is_left_out(
    dask_cluster: MakeCluster, dask_authority: Authority, tmp_path: Path
) -> None:
    cluster = dask_cluster()
    options: dict[str, Any] = {"address": cluster.address, "security": dask_authority.security()}
    old = cluster.worker(python=python_with(tmp_path / "old", scipy="1.0.0"))
    with pytest.raises(VersionMismatchError, match=r"(?s)scipy: 1.0.0 there.*pip install scipy=="):
        DaskExecutor(**options).prepare()
    assert cluster.children() == []
    with DaskExecutor(**options, ignore_versions=["scipy"]) as executor:
        assert executor.submit(abs, -1).result(60) == 1

    def who() -> str:
        return os.environ["TMPDIR"]

    cluster.worker(host="b")
    with DaskExecutor(**options) as executor:
        with pytest.warns(HostWarning, match=f"(?s){old.address}.*scipy: 1.0.0 there.*The other workers go on"):
            executor.prepare()
        assert executor.n_workers == 1
        assert set(executor.map(lambda _: who(), range(8), timeout=60)) == {str(cluster.temporary("b"))}


def test_a_worker_without_ffnn_says_so_also_if_it_comes_later(
    dask_cluster: MakeCluster, dask_authority: Authority, tmp_path: Path
) -> None:
    cluster = dask_cluster()
    python = python_with(tmp_path / "bare", ffnn=None)
    cluster.worker(python=python, ffnn=False)
    options: dict[str, Any] = {"address": cluster.address, "security": dask_authority.security()}
    with DaskExecutor(**options) as executor:
        error = executor.submit(abs, -1).exception(30)
    assert isinstance(error, HostError)
    assert "lacks ffnn" in str(error)
    assert "pip install ffnn==" in str(error)

    cluster.worker(host="b")
    with DaskExecutor(**options) as executor:
        with pytest.warns(HostWarning, match="lacks ffnn"):
            executor.prepare()
        with warnings.catch_warnings(record=True) as more:
            cluster.worker(python=python, ffnn=False)
            assert list(executor.map(abs, range(-12, 0), timeout=60)) == list(range(12, 0, -1))
        assert not more  # a reason is said once


# --- data


def search(X: Any, n_candidates: int = 6) -> GridSearchCV:
    grid = {"random_state": list(range(n_candidates)), "strategy": ["uniform", "stratified"]}
    return GridSearchCV(DummyClassifier(), grid, cv=2, refit=False, error_score="raise")


def test_x_crosses_to_each_host_once(dask_cluster: MakeCluster, dask_authority: Authority) -> None:
    cluster = dask_cluster()
    cluster.start_workers([{"host": host} for host in "aabb"])
    X = np.random.default_rng(0).normal(size=(1000, 1500))
    y = np.arange(1000) % 2
    sequential = search(X).fit(X, y)
    with ffnn.pool("dask", progress=False, address=cluster.address, security=dask_authority.security()) as pool:
        found = search(X).fit(X, y)
        stores = [folder / "data" for folder in cluster.leftovers() if "-dask-" in folder.name]
        assert [[file.stat().st_size for file in store.iterdir()] for store in stores] == [[X.nbytes]] * 2
        sent = pool.executor.bytes_sent  # type: ignore[attr-defined]
        assert 2 * X.nbytes < sent < 2.2 * X.nbytes
    np.testing.assert_array_equal(found.cv_results_["mean_test_score"], sequential.cv_results_["mean_test_score"])
    assert cluster.leftovers() == []
    assert cluster.children() == []


def test_what_was_changed_in_place_is_sent_again(executor: DaskExecutor) -> None:
    X = np.zeros(100_000)
    assert executor.submit(np.sum, X).result(60) == 0
    X += 1
    assert executor.submit(np.sum, X).result(60) == 100_000
    with joblib.parallel_config("ffnn", executor=executor, n_jobs=-1):
        for _ in range(2):
            assert joblib.Parallel()(joblib.delayed(np.sum)(X) for _ in range(4)) == [X.sum()] * 4
            X += 1


# --- workers


def test_workers_that_join_later_are_used(dask_cluster: MakeCluster, dask_authority: Authority) -> None:
    cluster = dask_cluster()
    executor = DaskExecutor(cluster.address, security=dask_authority.security())
    with executor:
        first = executor.submit(os.getpid)  # there is nobody yet
        assert executor.n_workers == 1
        cluster.worker()
        assert first.result(60)
        cluster.worker(threads=2)
        wait_for(lambda: executor.n_workers == 3, "three workers")
        futures = [executor.submit(lambda: (time.sleep(0.3), os.getpid())[1]) for _ in range(9)]
        assert len({future.result(60) for future in futures}) == 3


def test_the_pool_waits_for_workers_and_no_longer_than_asked(
    dask_cluster: MakeCluster, dask_authority: Authority
) -> None:
    cluster = dask_cluster()
    options: dict[str, Any] = {"address": cluster.address, "security": dask_authority.security(), "start_timeout": 2}
    with pytest.raises(HostError, match="has no threads for tasks, which is less than min_workers=1, .* 2 seconds"):
        DaskExecutor(**options).prepare()
    cluster.worker()
    with pytest.raises(HostError, match="has 1 thread for tasks, which is less than min_workers=2"):
        DaskExecutor(**options, min_workers=2).prepare()
    DaskExecutor(**options).prepare()


def test_children_share_the_machine(executor: DaskExecutor) -> None:
    share = max(1, joblib.cpu_count() // 2)
    assert executor.submit(lambda: os.environ["OMP_NUM_THREADS"]).result(60) == str(share)


def test_children_are_recycled_and_end_in_time(two_slots: Cluster, dask_authority: Authority) -> None:
    options: dict[str, Any] = {"address": two_slots.address, "security": dask_authority.security(), "n_workers": 1}
    with DaskExecutor(**options, max_tasks_per_child=1, task_timeout=1, threads_per_worker=3) as executor:
        assert len({executor.submit(os.getpid).result(60) for _ in range(4)}) == 4
        assert executor.submit(lambda: os.environ["OMP_NUM_THREADS"]).result(60) == "3"
        hold = executor.submit(re.match, r"(a+)+$", "a" * 60 + "b")  # one C call, which holds Python's lock
        error = hold.exception(30)
        assert isinstance(error, TaskTimeoutError)
        assert "task_timeout=1 seconds" in str(error)
        assert executor.n_retries == 0


def test_an_executor_that_is_forgotten_leaves_nothing(two_slots: Cluster, dask_authority: Authority) -> None:
    executor = DaskExecutor(two_slots.address, security=dask_authority.security())
    executor.submit(abs, -1).result(60)
    assert two_slots.children()
    del executor
    wait_for(lambda: not two_slots.children() and not two_slots.leftovers(), "nothing left")
