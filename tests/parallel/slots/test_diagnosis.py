"""What a look at hosts finds, and what it says about it."""

from __future__ import annotations

import dataclasses
import os
import sys

import pytest

from ffnn.exceptions import HostError, WorkerStartError
from ffnn.parallel.hosts.bootstrap import AGENT
from ffnn.parallel.hosts.local import LocalHost
from ffnn.parallel.hosts.provisioner import spawn
from ffnn.parallel.preflight.check import report
from ffnn.parallel.slots.diagnosis import Diagnosis, describe_seconds
from ffnn.parallel.slots.executor import SlotExecutor

GIB = 2**30


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"skew": 59.0}, None),
        ({"skew": -59.9}, None),
        ({"skew": 60.0}, "its clock is 60 seconds ahead of this machine's."),
        ({"skew": -7300.0}, "its clock is 2 hours behind this machine's."),
        ({"disk": GIB}, None),
        ({"disk": 10 << 20}, "only 10 MiB are free where data is stored."),
        ({"cpus": 4}, None),
        ({"cpus": 3}, "its 4 workers share 3 CPUs."),
        ({"report": report()}, None),
        ({"report": dataclasses.replace(report(), machine="vax")}, "its processors are vax, this machine's "),
    ],
)
def test_what_may_surprise_is_said(known, expected):
    warnings = Diagnosis("alpha", 4, **known).warnings()
    assert [warning.startswith(expected or "") for warning in warnings] == ([True] if expected else [])


@pytest.mark.parametrize(
    ("seconds", "words"), [(60, "60 seconds"), (120, "2 minutes"), (7200, "2 hours"), (400000, "5 days")]
)
def test_times_are_written_as_people_do(seconds, words):
    assert describe_seconds(seconds) == words


class Other(LocalHost):
    """This machine under another name, where something may be wrong."""

    def __init__(self, name, program=None, programs=None):
        super().__init__(1)
        self.name = name
        self.program = program
        self.programs = programs  # a folder of programs that come before the system's

    def start(self):
        if self.programs is None:
            return super().start()
        path = f"{self.programs}:{os.environ['PATH']}"
        return spawn([sys.executable, *AGENT], env={**os.environ, "PATH": path})

    def command(self, slot, start, facts):
        command = super().command(slot, start, facts)
        return dataclasses.replace(command, argv=self.program) if self.program else command

    def check(self, host):
        if self.name == "broken":
            raise RuntimeError("a mistake in a provisioner")


def test_each_host_is_seen_on_its_own():
    crash = ["sh", "-c", "echo no such thing as a worker >&2; exit 3"]
    hosts = [Other("good"), Other("crashes", crash), Other("broken"), Other("is killed", ["sh", "-c", "kill -9 $$"])]
    with SlotExecutor(hosts, start_timeout=30) as executor:
        good, crashes, broken, killed = executor.diagnose()
    assert good.usable
    assert good.report == report()
    assert good.cpus >= 1
    assert good.memory > GIB / 4
    assert good.disk > 0
    assert abs(good.skew) < 5
    assert good.gpus is not None
    assert 0 < good.seconds < good.seconds + good.worker_seconds < 60
    assert isinstance(crashes.error, WorkerStartError)
    assert "exit code 3" in str(crashes.error)
    assert "no such thing as a worker" in str(crashes.error)
    assert (crashes.worker_seconds, crashes.cpus) == (None, good.cpus)
    assert isinstance(broken.error, HostError)
    assert "RuntimeError: a mistake in a provisioner" in str(broken.error)
    assert "SIGKILL" in str(killed.error)


def test_a_clock_that_is_wrong_and_a_disk_that_is_full_are_seen(tmp_path):
    (tmp_path / "date").write_text('#!/bin/sh\necho $(($(/bin/date "$@") - 10800))\n')
    (tmp_path / "df").write_text('#!/bin/sh\necho header\necho "/dev/vda1 100 99 1 99% $2"\n')
    for program in tmp_path.iterdir():
        program.chmod(0o755)
    with SlotExecutor([Other("late", programs=tmp_path)]) as executor:
        (late,) = executor.diagnose()
    assert late.usable
    assert late.skew == pytest.approx(-10800, abs=5)
    assert late.disk == 1024
    assert [warning.split(".")[0] for warning in late.warnings()] == [
        "its clock is 3 hours behind this machine's",
        "only 0 MiB are free where data is stored",
    ]


def test_a_host_without_these_programs_is_still_of_use(tmp_path):
    for name in ("date", "df"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    with SlotExecutor([Other("odd", programs=tmp_path)]) as executor:
        (odd,) = executor.diagnose()
    assert (odd.usable, odd.skew, odd.disk) == (True, None, None)
