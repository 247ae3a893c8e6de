from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from ffnn.parallel.slots import logs as module
from ffnn.parallel.slots.logs import Logs
from tests.support.needs import lacks, needs


def test_nothing_is_made_before_there_is_something_to_write(tmp_path: Path) -> None:
    logs = Logs(tmp_path / "new" / "folder")
    write = logs.writer("alpha-0")
    assert logs.read("alpha-0") == ""
    assert not list(tmp_path.iterdir())
    write(b"one\n")
    write(b"two\n")
    logs.writer("alpha-1")(b"other\n")
    assert logs.read("alpha-0") == "one\ntwo\n"
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == ["alpha-0.log", "alpha-1.log"]


def test_a_given_folder_stays_and_a_temporary_one_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    given, temporary = Logs(tmp_path / "given"), Logs()
    for logs in (given, temporary):
        logs.writer("alpha-0")(b"text")
        assert logs.read("alpha-0") == "text"
        logs.close()
        logs.writer("alpha-0")(b"too late")
    assert [path.name for path in tmp_path.iterdir()] == ["given"]
    assert (tmp_path / "given" / "alpha-0.log").read_text() == "text"


def test_a_relative_folder_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    logs = Logs("logs")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    logs.writer("alpha-0")(b"text")
    assert (tmp_path / "logs" / "alpha-0.log").exists()


def test_a_name_is_no_path(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    logs.writer("ssh://../beta-0")(b"text")
    assert logs.read("ssh://../beta-0") == "text"
    assert [path.parent for path in tmp_path.rglob("*.log")] == [tmp_path]


def test_a_log_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 1000)
    logs = Logs(tmp_path)
    write = logs.writer("alpha-0")
    for i in range(100):
        write(b"%099d\n" % i)
    text = logs.read("alpha-0")
    assert 1000 <= len(text) <= 2200
    assert text.endswith(f"{99:099d}\n")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == len(text)
    said = re.findall(r"\[ffnn: this goes on from alpha-0\.log\.1; (\d+\.\d) kB before that are dropped\]\n", text)
    kept = sum(not line.startswith("[") for line in text.splitlines())
    assert float(said[-1]) == pytest.approx((100 - kept) * 0.1, rel=0.1)


def test_a_full_disk_stops_nobody(tmp_path: Path) -> None:
    needs("mount", "umount")
    if os.getuid() != 0:
        lacks("only root mounts a disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "ffnn-test", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lacks(f"no disk can be mounted: {done.stderr.strip()}")
    try:
        write = Logs(tmp_path).writer("alpha-0")
        for _ in range(4):
            write(bytes(50_000))
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)
