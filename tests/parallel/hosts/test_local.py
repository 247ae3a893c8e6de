from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ffnn.parallel.hosts.local import LocalHost
from ffnn.parallel.hosts.provisioner import Facts
from ffnn.parallel.tasks.budget import thread_variables
from tests.support.agents import Connect

pytestmark = pytest.mark.timeout(60)

FACTS = Facts("h", "u", "3.11", 1, 8, 1 << 30, (), "/tmp/x", 0.0)


def test_workers_are_as_this_process_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OF_THIS_PROCESS", "1")
    monkeypatch.syspath_prepend(tmp_path)
    command = LocalHost(2).command(0, "start", FACTS)
    assert command.argv[0] == sys.executable
    assert str(tmp_path) in command.argv[2]
    assert not command.inherit  # what this process has set since the agent was started counts
    assert command.environment["OF_THIS_PROCESS"] == "1"


def test_a_users_number_of_threads_stands_unless_another_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in thread_variables(1, {}, explicit=True):
        monkeypatch.delenv(name, raising=False)
    assert LocalHost(2).worker_environment(0, FACTS)["OMP_NUM_THREADS"] == "4"
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert "OMP_NUM_THREADS" not in LocalHost(2).worker_environment(0, FACTS)
    assert LocalHost(2, 3).worker_environment(0, FACTS)["OMP_NUM_THREADS"] == "3"


def test_an_agent_that_does_not_start_is_explained() -> None:
    assert "ended with exit code 3" in str(LocalHost(1).explain(3, "no disk"))
    assert "no disk" in str(LocalHost(1).explain(3, "no disk"))
    assert "did not answer" in str(LocalHost(1).explain(None, ""))


def test_a_busy_client_is_no_dead_one(connect: Connect) -> None:
    assert LocalHost(1).lease is None
    connection = connect(LocalHost(1))
    assert connection.wait_for_facts(1).pid != os.getpid()
