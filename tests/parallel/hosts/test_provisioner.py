"""Where workers run is what a provisioner says, and nothing else: a stranger's, in as few lines as promised."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ffnn.exceptions import HostError
from ffnn.parallel.hosts.provisioner import AGENT, Facts, Provisioner, spawn
from ffnn.parallel.slots.executor import SlotExecutor
from ffnn.testing._tasks import meet

pytestmark = pytest.mark.timeout(60)


class Elsewhere(Provisioner):
    """As in the documentation, but that `kubectl exec` is another command."""

    def __init__(self, name: str, n_workers: int, command: list[str]) -> None:
        self.name, self.n_workers, self.command_line = name, n_workers, command

    def start(self) -> subprocess.Popen[bytes]:
        return spawn([*self.command_line, sys.executable, *AGENT])


class Here(Elsewhere):
    python = sys.executable


def test_a_strangers_host_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def seen(folder: Path, me: int) -> tuple[int, str | None]:
        meet(folder, me, 1 - me)
        return os.getpriority(os.PRIO_PROCESS, 0), os.environ.get("SECRET")

    monkeypatch.setenv("SECRET", "of this process")
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    hosts = [Here("polite", 1, ["nice", "-n", "5"]), Here("bare", 1, ["env", "-i", "HOME=/", "PATH=/usr/bin:/bin"])]
    with SlotExecutor(hosts) as executor:
        executor.prepare()  # versions are compared there, too
        futures = [executor.submit(seen, tmp_path, me) for me in (0, 1)]
        found = {future.result(60) for future in futures}
    assert found == {(niceness + 5, "of this process"), (niceness, None)}


def test_a_host_without_what_is_needed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "python3").symlink_to("/bin/false")
    other = Elsewhere("other", 1, ["env", f"PATH={tmp_path}:/usr/bin:/bin"])  # whose python3 has nothing
    executor = SlotExecutor([other])
    with pytest.raises(HostError, match="other"):
        executor.prepare()


def test_a_worker_knows_its_share() -> None:
    facts = Facts("h", "u", "3.11", 1, 8, 1 << 30, ("3", "5"), "/tmp/x", 0.0)
    host = Here("alpha", 3, [])
    command = host.command(1, "start-1", facts)
    assert command.argv == [sys.executable, "-m", "ffnn.parallel.tasks.child"]
    assert command.inherit
    assert command.environment["FFNN_STORE"] == facts.store == "/tmp/x/data"
    assert command.environment["OMP_NUM_THREADS"] == "2"
    assert command.environment["CUDA_VISIBLE_DEVICES"] == "5"
    assert host.worker_environment(0, facts, 7)["OMP_NUM_THREADS"] == "7"


def test_what_is_spawned_does_not_hear_the_terminals_interrupt() -> None:
    with spawn(["cat"]) as process:
        assert os.getpgid(process.pid) == process.pid != os.getpgid(0)
        assert process.stdin is not None
        process.stdin.close()
