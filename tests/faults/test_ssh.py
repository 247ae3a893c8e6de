"""The faults that workers behind SSH must survive, with real servers on this machine."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import ffnn
from ffnn.exceptions import HostError, HostKeyError, HostWarning, VersionMismatchError
from ffnn.testing._tasks import gone
from tests.support.agents import wait_until, wait_until_gone
from tests.support.disks import small_disk_at
from tests.support.faults import Faults, Search, assert_same_scores, data, nearest, once, sabotaged, send
from tests.support.needs import lacks, needs
from tests.support.netns import CableNetwork
from tests.support.other_python import make_python
from tests.support.sshd import Network

pytestmark = [pytest.mark.timeout(110), pytest.mark.slow]

ROOT = Path(__file__).parents[2]


def pool_of(network: Network, *hosts: str, **options: Any) -> Any:
    options = {"python": sys.executable, "config": network.config, "progress": False, **options}
    return ffnn.pool("ssh", hosts=hosts, **options)


def patient(pool: Any, lease: float) -> Any:
    """Let the hosts of a pool believe in the client for so long."""
    for host in pool.executor.hosts:
        host.provisioner.lease = lease
    return pool


def once_on(address: str, flag: Path, act: Callable[[], object]) -> Callable[[], None]:
    """Let something happen once, on one host; the first task there waits until the other host has one too."""
    act_once = once(flag, act)

    def act_there() -> None:
        if os.environ["SSH_CONNECTION"].split()[2] == address:
            act_once()

    return act_there


class TestSSH(Faults):
    silence = 4.0

    @pytest.fixture(autouse=True)
    def hosts(self, own_ssh_network: Network) -> Iterator[None]:
        self.network = own_ssh_network
        yield
        # what an agent leaves that is killed, the next one sweeps up, after a while
        for host in own_ssh_network.hosts.values():
            wait_until(lambda host=host: not host.processes(), f"nothing runs on {host.name}")

    def pool(self, n_workers: int = 2, **options: Any) -> Any:
        options = {"host_timeout": self.silence, "workers_per_host": n_workers, **options}
        return patient(pool_of(self.network, "alpha", **options), 15.0)

    @contextlib.contextmanager
    def break_host(self) -> Iterator[None]:
        self.network["alpha"].stop()
        yield
        self.network["alpha"].start()

    def impatient(self) -> dict[str, Any]:
        return {"idle_timeout": 3.0, "host_timeout": 3.0}

    # --- between here and there

    @pytest.mark.parametrize("who", ["our client", "its session", "everything"])
    def test_fault_01_the_connection_is_killed(self, who: str, tmp_path: Path) -> None:
        with self.pool() as pool:
            connection = psutil.Process(pool.executor.hosts[0].facts.pid).parents()
            client = [child for child in psutil.Process().children() if child.name() == "ssh"]
            session = next(process for process in connection if process.name().startswith("sshd"))

            def act() -> None:
                time.sleep(1.5)

            def kill() -> None:
                wait_until(lambda: (tmp_path / "done").exists(), "a task runs", 60)
                if who == "our client":
                    client[0].kill()
                elif who == "its session":
                    session.kill()
                else:
                    self.network["alpha"].kill()
                    self.network["alpha"].start()

            thread = threading.Thread(target=kill)
            thread.start()
            assert_same_scores(Search(sabotaged(once(tmp_path / "done", act))).fit(*data()))
            thread.join()
            assert pool.executor.hosts[0].n_connections == 2

    def test_fault_06_and_26_a_session_is_stopped_and_an_orphan_lives_on(self, tmp_path: Path) -> None:
        pids = tmp_path / "pids"

        def note_and_wait() -> None:
            pids.write_text(str(os.getpid()))
            time.sleep(300)

        with patient(self.pool(host_timeout=3.0), 25.0) as pool:
            first = psutil.Process(pool.executor.hosts[0].facts.pid)
            session = next(process for process in first.parents() if process.name().startswith("sshd"))

            def stop() -> None:
                wait_until(pids.exists, "a task runs", 60)
                session.suspend()

            thread = threading.Thread(target=stop)
            thread.start()
            assert_same_scores(Search(sabotaged(once(tmp_path / "done", note_and_wait))).fit(*data()))
            thread.join()
            orphan = int(pids.read_text())
            assert not gone(orphan)  # while another agent has already done its work, under other names
            assert pool.executor.hosts[0].n_connections == 2
            assert pool.executor.hosts[0].facts.pid != first.pid
            wait_until_gone(orphan, first.pid, within=45)  # by its lease
        session.kill()

    def test_fault_10_an_unknown_and_a_changed_host_key(self) -> None:
        alpha = self.network["alpha"]
        alpha.forget()
        with pytest.raises(HostKeyError) as caught, self.pool():
            pass
        assert alpha.fingerprint in str(caught.value)
        assert "ssh" in str(caught.value)
        alpha.make_known()
        fingerprint = alpha.change_key()
        alpha.restart()
        with pytest.raises(HostKeyError) as caught, self.pool():
            pass
        assert fingerprint in str(caught.value)
        assert re.search("`ssh-keygen .*-R ", str(caught.value))

    def test_fault_10_a_key_that_changes_while_a_search_runs(self, tmp_path: Path) -> None:
        alpha = self.network["alpha"]
        with self.pool() as pool:
            pool.submit(abs, 1).result(60)
            fingerprint = alpha.change_key()
            alpha.restart()
            with pytest.raises(HostKeyError) as caught:
                Search(sabotaged(once(tmp_path / "done", send(2, signal.SIGKILL)))).fit(*data())
        assert fingerprint in str(caught.value)

    def test_fault_11_one_of_two_hosts_lets_nobody_in(self) -> None:
        self.network["beta"].keep_out()
        two = pool_of(self.network, "alpha", "beta")
        with pytest.warns(HostWarning, match="host beta: it does not let"), two:
            assert_same_scores(Search().fit(*data()))
        few = pool_of(self.network, "alpha", "beta", min_workers=2)
        with pytest.raises(HostError, match="(?s)min_workers.*host beta: it does not let"), few:
            pass

    @pytest.mark.parametrize(("number", "within"), [("SIGKILL", 10), ("SIGINT", 10), ("SIGTERM", 10)])
    def test_fault_12_and_13_the_client_is_killed_or_interrupted(
        self, number: str, within: float, tmp_path: Path
    ) -> None:
        options = {"hosts": ["alpha", "beta"], "config": str(self.network.config), "python": sys.executable}
        with run_client(options, tmp_path) as (program, pids):
            start = time.monotonic()
            program.send_signal(getattr(signal, number))
            assert program.wait(within) == -getattr(signal, number)
            wait_until_gone(*pids(), within=within)
            for host in self.network.hosts.values():
                host.wait_until_idle(within)
            assert time.monotonic() - start < 2 * within
            assert len(pids()) == 4  # none of the other tasks was begun

    def test_fault_13_an_interruption_while_a_host_does_not_answer(self, tmp_path: Path) -> None:
        self.network["beta"].options = "ForceCommand exec sleep 300"
        self.network["beta"].restart()
        options = {"hosts": ["alpha", "beta"], "config": str(self.network.config), "python": sys.executable}
        script = CLIENT.replace("# entered", "print('entered')")
        command = [sys.executable, "-c", script, json.dumps(options), str(tmp_path / "pids")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as program:
            try:
                wait_until(lambda: len(self.network["beta"].processes()) >= 1, "beta is tried", 30)
                time.sleep(1.0)
                program.send_signal(signal.SIGINT)
                assert program.wait(10) == -signal.SIGINT
                assert program.stderr is not None
                assert "KeyboardInterrupt" in program.stderr.read()
            finally:
                program.kill()
        self.network["alpha"].wait_until_idle(10)
        for process in self.network["beta"].processes():
            process.kill()  # a program that neither reads nor writes

    # --- what a host is like

    @pytest.mark.parametrize("package", ["numpy", "scikit_learn", "tensorflow"])
    def test_fault_17_another_version_on_a_host(self, package: str, tmp_path: Path) -> None:
        python = make_python(tmp_path / "venv", **{package: "0.1.2"})
        with pytest.raises(VersionMismatchError) as caught, self.pool(python=str(python)):
            pass
        assert "0.1.2" in str(caught.value)
        assert "alpha" in str(caught.value)
        assert importlib.metadata.version(package.replace("_", "-")) in str(caught.value)

    def test_fault_17_another_python_on_a_host(self) -> None:
        other = next(iter(Path.home().glob(".pyenv/versions/3.13.*/bin/python3")), Path("/usr/bin/python3"))
        ask = [str(other), "-c", "import platform; print(platform.python_version())"]
        done = subprocess.run(ask, capture_output=True, text=True, check=False)
        version = done.stdout.strip()
        if done.returncode or version.rpartition(".")[0] == f"3.{sys.version_info.minor}":
            lacks("no other Python than that of the tests")
        with pytest.raises(HostError) as caught, self.pool(python=str(other)):  # most likely it lacks all else, too
            pass
        assert version in str(caught.value)
        assert f"3.{sys.version_info.minor}" in str(caught.value)

    @pytest.fixture
    def full_disk(self) -> Iterator[None]:
        """Let beta have a disk of 1 MB for temporary files."""
        with small_disk_at(self.network["beta"].tmp, "1m"):
            yield
            self.network["beta"].wait_until_idle(20)

    def test_fault_19_the_disk_of_one_of_two_hosts_is_full(self, full_disk: None) -> None:
        two = pool_of(self.network, "alpha", "beta")
        with pytest.warns(HostWarning, match="host beta: .* could not be stored: No space left on device"), two:
            assert_same_scores(Search().fit(*data()))

    def test_fault_19_the_disk_of_the_only_host_is_full(self, full_disk: None) -> None:
        start = time.monotonic()
        one = pool_of(self.network, "beta")
        with pytest.raises(HostError, match="host beta: .*No space left on device.*TMPDIR"), one:
            Search().fit(*data())
        assert time.monotonic() - start < 30

    @pytest.mark.parametrize("python", ["/no/such/python", "/etc/passwd"])
    def test_fault_22_there_is_no_such_python(self, python: str) -> None:
        start = time.monotonic()
        with pytest.raises(HostError, match=f"host alpha: .*{python}"), self.pool(python=python):
            pass
        assert time.monotonic() - start < 10

    def test_fault_22_there_is_no_server(self) -> None:
        self.network["alpha"].stop()
        start = time.monotonic()
        with pytest.raises(HostError, match="host alpha: nothing listens at its port"), self.pool():
            pass
        assert time.monotonic() - start < 10

    @pytest.mark.parametrize("shift", ["+5h", "-5h"])
    def test_fault_29_the_clock_of_a_host_is_off(self, shift: str, tmp_path: Path) -> None:
        needs("faketime")
        python = tmp_path / "python"
        python.write_text(f'#!/bin/sh\nexec faketime -f {shift} {sys.executable} "$@"\n')
        python.chmod(0o755)
        with self.pool(python=str(python)) as pool:
            off = pool.submit(time.time).result(60) - time.time()
            assert abs(off) == pytest.approx(5 * 3600, abs=60)
            assert_same_scores(Search().fit(*data()))
            assert pool.executor.hosts[0].n_connections == 1
        (diagnosis,) = self.pool(python=str(python)).executor.diagnose()
        assert diagnosis.skew == pytest.approx(5 * 3600 if shift == "+5h" else -5 * 3600, abs=60)


def test_fault_08_the_cable_is_pulled(own_cable_network: CableNetwork, tmp_path: Path) -> None:
    network = own_cable_network
    address = network["alpha"].address
    pids = tmp_path / "pids"

    def note_and_wait() -> None:
        pids.write_text(str(os.getpid()))
        time.sleep(300)

    act = once_on(address, tmp_path / "done", note_and_wait)

    class Everywhere(nearest()):  # type: ignore[misc]
        def fit(self, X: Any, y: Any) -> Any:
            act()
            time.sleep(0.5)
            return super().fit(X, y)

    pulled: list[float] = []

    def pull() -> None:
        wait_until(pids.exists, "a task runs on alpha", 60)
        network.cables["alpha"].pull()
        pulled.append(time.monotonic())

    thread = threading.Thread(target=pull)
    thread.start()
    two = patient(pool_of(network, "alpha", "beta"), 40.0)  # with the time-outs that users have
    with two as pool:
        fitted = Search(Everywhere).fit(*data())
        assert time.monotonic() - pulled[0] < 60
        assert_same_scores(fitted)
        thread.join()
        wait_until_gone(int(pids.read_text()), within=60)  # there, where nobody could tell it
        assert pool.n_retries == 1
    network.cables["alpha"].plug_in()
    for host in network.hosts.values():
        host.wait_until_idle(20)


def test_fault_13_an_interruption_while_the_cable_is_pulled(own_cable_network: CableNetwork, tmp_path: Path) -> None:
    network = own_cable_network
    options = {"hosts": ["alpha", "beta"], "config": str(network.config), "python": sys.executable}
    with run_client(options, tmp_path) as (program, _):
        network.cables["alpha"].pull()
        time.sleep(1.0)
        start = time.monotonic()
        program.send_signal(signal.SIGINT)
        assert program.wait(15) == -signal.SIGINT
        assert time.monotonic() - start < 10
        network["beta"].wait_until_idle(10)
    network.cables["alpha"].plug_in()
    network["alpha"].kill()  # not to wait for its lease


CLIENT = """
import ctypes, json, os, subprocess, sys
import joblib
import ffnn

path = sys.argv[2]

def run(i):
    sleeper = subprocess.Popen(["sleep", "300"], start_new_session=True)
    with open(path, "a") as file:
        file.write(f"{os.getpid()} {sleeper.pid} ")
    ctypes.PyDLL(None).sleep(300)

with ffnn.pool("ssh", progress=False, **json.loads(sys.argv[1])):
    # entered
    joblib.Parallel()(joblib.delayed(run)(i) for i in range(8))
"""


@contextlib.contextmanager
def run_client(options: dict[str, Any], folder: Path) -> Iterator[tuple[Any, Callable[[], list[int]]]]:
    """Run a program whose tasks hold their processes' locks; tell which those are."""
    file = folder / "pids"

    def pids() -> list[int]:
        return [int(pid) for pid in file.read_text().split()] if file.exists() else []

    command = [sys.executable, "-c", CLIENT, json.dumps(options), str(file)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT) as program:
        try:
            wait_until(lambda: len(pids()) == 4, "both tasks run", 60)
            yield program, pids
        finally:
            program.kill()
