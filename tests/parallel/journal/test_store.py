"""The journal's files: what they keep through torn writes, flipped bytes, full disks and other writers."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ffnn.exceptions import JournalError
from ffnn.parallel.journal.records import encode
from ffnn.parallel.journal.store import JournalFolder, Store
from tests.support.disks import small_disk_at


def result(key: str) -> dict[str, object]:
    return {"kind": "result", "key": key, "reusable": True}


def fill(folder: Path, n: int = 5) -> Path:
    """Write n results to a new journal; return its file."""
    store = Store(folder)
    for i in range(n):
        store.add(result(str(i)), f"payload {i}".encode() * 50)
    (file,) = folder.glob("*.journal")
    return file


def found(folder: Path, n: int = 5) -> list[int]:
    store = Store(folder)
    return [i for i in range(n) if store.find(str(i)) == f"payload {i}".encode() * 50]


def keys(folder: Path) -> list[str]:
    return [r.meta["key"] for _, r in JournalFolder(folder).new_records() if r.meta["kind"] == "result"]


def test_what_one_process_adds_another_finds(tmp_path):
    fill(tmp_path)
    assert found(tmp_path) == [0, 1, 2, 3, 4]
    assert Store(tmp_path).find("unknown") is None


def test_what_another_adds_is_found_without_opening_again(tmp_path):
    early = Store(tmp_path / "run")
    Store(tmp_path / "run").add(result("new"), b"data")
    assert early.find("new") == b"data"


def test_a_result_is_recorded_once(tmp_path):
    first, second = Store(tmp_path), Store(tmp_path)
    for store in (first, second, first):
        store.add(result("same"), b"data")
    assert keys(tmp_path) == ["same"]


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_byte_costs_one_record(tmp_path, seed):
    file = fill(tmp_path)
    data = bytearray(file.read_bytes())
    at = random.Random(seed).randrange(200, len(data))  # behind the record of the session
    data[at] ^= 1 << seed % 8
    file.write_bytes(data)
    intact = found(tmp_path)
    assert len(intact) == 4, f"byte {at}"


@pytest.mark.parametrize("seed", range(20))
def test_a_truncated_file_loses_its_end_alone(tmp_path, seed):
    file = fill(tmp_path)
    data = file.read_bytes()
    ends = [record.end for _, record in JournalFolder(tmp_path).new_records()]
    cut = random.Random(seed).randrange(200, len(data))
    file.write_bytes(data[:cut])
    assert len(found(tmp_path)) == sum(end <= cut for end in ends[1:])


def test_a_result_that_was_damaged_can_be_recorded_again(tmp_path):
    file = fill(tmp_path)
    data = file.read_bytes()
    file.write_bytes(data.replace(b"payload 2", b"payload X"))
    store = Store(tmp_path)
    assert store.find("2") is None
    store.add(result("2"), b"payload 2" * 50)
    del store
    assert found(tmp_path) == [0, 1, 2, 3, 4]


def test_what_looks_like_a_record_inside_a_payload_is_none(tmp_path):
    inner, _ = encode(result("inner"), b"x", 0)
    store = Store(tmp_path)
    store.add(result("outer"), inner * 3)
    store.add(result("next"), b"y")
    assert keys(tmp_path) == ["outer", "next"]


WRITER = """
import sys, os
from pathlib import Path
from ffnn.parallel.journal.store import Store
store = Store(Path(sys.argv[1]))
for i in range(int(sys.argv[2]), 100_000):
    store.add({"kind": "result", "key": str(i), "reusable": True}, os.urandom(5000))
    print(i, flush=True)
"""


def test_a_killed_writer_loses_nothing_that_it_has_added(tmp_path):
    last, moments = -1, random.Random(0)
    for _ in range(4):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(last + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(moments.uniform(0.02, 0.3))
            writer.send_signal(signal.SIGKILL)
            said = [int(line) for line in writer.stdout.read().split()]
        last = max([last + 1, *said])
        store = Store(tmp_path)
        assert all(store.find(str(i)) is not None for i in range(last + 1))
        if store.find(str(last + 1)) is not None:  # recorded, but not said
            last += 1
    assert keys(tmp_path) == [str(i) for i in range(last + 1)]


def test_several_threads_and_processes_write_at_once(tmp_path):
    code = WRITER.replace("100_000", "60").replace("os.urandom(5000)", "b'data' * 1000")
    others = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), "0"], stdout=subprocess.DEVNULL)]
    store = Store(tmp_path)

    def write() -> None:
        for i in range(60):
            store.add(result(str(i)), b"data" * 1000)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait() for process in others] == [0]
    assert sorted(keys(tmp_path), key=int) == [str(i) for i in range(60)]


def test_a_process_that_was_stopped_with_the_lock_holds_nobody_up(tmp_path):
    code = "import fcntl, os, sys, time\nlock = os.open(sys.argv[1], os.O_RDONLY)\nfcntl.flock(lock, fcntl.LOCK_EX)\n"
    code += "print('locked', flush=True)\ntime.sleep(60)"
    store = Store(tmp_path)
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        store.add(result("1"), b"data")
        holder.kill()
    assert keys(tmp_path) == ["1"]


@pytest.fixture
def small_disk(tmp_path):
    with small_disk_at(tmp_path / "disk", "200k") as folder:
        yield folder


def test_a_full_disk_leaves_no_half_record(small_disk):
    folder = small_disk / "run"
    store = Store(folder)
    (small_disk / "other").write_bytes(b"x" * 150_000)
    n = 0
    with contextlib.suppress(OSError):
        for n in range(100):
            store.add(result(str(n)), b"y" * 5000)
    assert 3 < n < 12
    assert keys(folder) == [str(i) for i in range(n)]
    (small_disk / "other").unlink()
    store.add(result("later"), b"z")  # there is room again
    reader = JournalFolder(folder)
    assert [r.meta.get("key") for _, r in reader.new_records()][1:] == [*(str(i) for i in range(n)), "later"]
    assert reader.n_damaged == 0


def test_a_disk_that_is_full_at_the_start_is_refused(small_disk):
    (small_disk / "run").mkdir()
    with contextlib.suppress(OSError):
        (small_disk / "other").write_bytes(b"x" * 300_000)
    with pytest.raises(JournalError, match="No space left"):
        Store(small_disk / "run")
    assert os.listdir(small_disk / "run") == []


def test_a_read_only_folder_is_refused(small_disk):
    (small_disk / "run").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(JournalError, match="cannot be written to: Read-only file system"):
        Store(small_disk / "run")
    with pytest.raises(JournalError, match="cannot be made: Read-only file system"):
        Store(small_disk / "new")


def test_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("hello")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(JournalError, match="is a file|cannot be made: Not a directory"):
            Store(path)
    assert (tmp_path / "file").read_text() == "hello"


def test_another_projects_folder_is_refused(tmp_path):
    (tmp_path / "setup.py").write_text("")
    with pytest.raises(JournalError, match=r"other files \(setup.py\)"):
        Store(tmp_path)
    assert os.listdir(tmp_path) == ["setup.py"]


def test_a_later_version_is_refused(tmp_path):
    data, _ = encode({"kind": "session", "version": 2, "ffnn": "9.1"}, b"", 0)
    (tmp_path / "later.journal").write_bytes(data)
    with pytest.raises(JournalError, match=r"version 2 .* ffnn 9\.1"):
        Store(tmp_path)


def test_another_users_journal_is_refused(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root may give a file away")
    file = fill(tmp_path / "theirs")
    os.chown(tmp_path / "theirs", 12345, -1)
    with pytest.raises(JournalError, match="another user .*uid 12345"):
        Store(tmp_path / "theirs")
    os.chown(tmp_path / "theirs", 0, -1)
    os.chown(file, 12345, -1)
    with pytest.raises(JournalError, match="another user"):
        Store(tmp_path / "theirs")


def test_the_records_of_kinds_to_come_are_skipped(tmp_path):
    fill(tmp_path)
    data, _ = encode({"kind": "event", "epoch": 3}, b"", 0)
    (tmp_path / "events.journal").write_bytes(data)
    assert found(tmp_path) == [0, 1, 2, 3, 4]


def test_others_cannot_read_a_journal(tmp_path):
    file = fill(tmp_path / "run")
    assert [oct(path.stat().st_mode & 0o777) for path in (file.parent, file)] == ["0o700", "0o600"]
