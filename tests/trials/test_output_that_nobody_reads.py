"""Workers print, and nobody reads it, or not at once, or it cannot be written."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ffnn.exceptions import HostWarning, TaskTimeoutError
from ffnn.parallel import output
from ffnn.parallel.hosts.local import LocalHost
from ffnn.parallel.slots.executor import SlotExecutor

pytestmark = pytest.mark.timeout(120)

CLIENT = """
import sys
from ffnn.parallel import output
from ffnn.parallel.hosts.local import LocalHost
from ffnn.parallel.slots.executor import SlotExecutor

def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmHWM"))

def chat(n_pieces, stream):
    piece = "0123456789abcde\\n" * (1 << 16)  # 1 MiB
    for _ in range(n_pieces):
        print(piece, end="", file=getattr(sys, stream))
    return "done"

output._PATIENCE = float(sys.argv[2])
with SlotExecutor([LocalHost(1)]) as executor:
    executor.submit(abs, 1).result()
    before = resident()
    print("to be flushed with the rest")
    assert executor.submit(chat, int(sys.argv[3]), sys.argv[4]).result() == "done"
    assert executor.submit(chat, 1, sys.argv[4]).result() == "done"
with open(sys.argv[1], "w") as file:
    file.write(f"{resident() - before}")
"""


def client(note: Path, patience: float, n_pieces: int, stream: str = "stdout") -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", CLIENT, str(note), str(patience), str(n_pieces), stream]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_task_prints_much_and_nobody_reads(stream: str, tmp_path: Path) -> None:
    process = client(tmp_path / "grown", 0.5, 150, stream)
    until = time.monotonic() + 60
    while not (tmp_path / "grown").exists() and process.poll() is None:
        assert time.monotonic() < until, "the task does not end"
        time.sleep(0.05)
    time.sleep(0.1)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert int((tmp_path / "grown").read_text()) < 40, "MiB"
    said = err if stream == "stdout" else out
    assert b"MB of output dropped, as nobody read %s" % stream.encode() in said
    assert len(out) + len(err) < 200_000


def test_all_of_it_arrives_where_somebody_reads_slowly(tmp_path: Path) -> None:
    process = client(tmp_path / "grown", 5.0, 20)
    assert process.stdout is not None
    size = 0
    while piece := os.read(process.stdout.fileno(), 1 << 18):
        size += len(piece)
        time.sleep(0.005)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")
    assert size == len("to be flushed with the rest\n") + (21 << 20)


def test_what_was_dropped_is_said_where_somebody_reads_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_PATIENCE", 0.1)
    source, sink = os.pipe()
    with open(sink, "w") as full, open(source, "rb", buffering=0) as reader:
        monkeypatch.setattr(sys, "stdout", full)
        stream = output.Stream("stdout")
        stream.write("x" * 200_000)
        seen = b""
        while b"x" not in seen or len(seen) < 60_000:
            seen += reader.read(1 << 16)
        stream.write("after")
        seen += reader.read(1 << 16)
    assert b"kB of output dropped, as nobody read stdout for 0.1 seconds]\nafter" in seen
    kept = seen.count(b"x")
    assert f"{(200_000 - kept) / 1000:.1f} kB".encode() in seen


@pytest.fixture
def executor() -> Iterator[SlotExecutor]:
    with SlotExecutor([LocalHost(1)], task_timeout=60.0) as executor:
        yield executor


class Raising(io.StringIO):
    def write(self, text: str) -> int:
        raise RuntimeError("this stream is out of order")

    flush = write  # type: ignore[assignment]


def test_printing_ends_nothing(executor: SlotExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    def chat() -> str:
        import warnings

        print("to stdout", flush=True)
        print("to stderr", file=sys.stderr, flush=True)
        warnings.warn("a warning", UserWarning, stacklevel=1)
        return "done"

    closed = io.StringIO()
    closed.close()
    for stream in (None, Raising(), closed, object()):
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", stream)
        assert executor.submit(chat).result(60) == "done"
        output.warn("the host is left out", HostWarning)


def test_a_warning_that_is_an_error_ends_no_thread(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    import warnings

    seen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", seen)
    warnings.simplefilter("error")
    output.warn("the host is left out", HostWarning)
    assert seen.getvalue() == "HostWarning: the host is left out\n"


def test_a_task_that_prints_for_ever_takes_no_longer_than_it_may() -> None:
    def chat() -> None:
        while True:
            print("x" * 10_000)

    with SlotExecutor([LocalHost(1)], task_timeout=1.0) as executor:
        start = time.monotonic()
        assert isinstance(executor.submit(chat).exception(60), TaskTimeoutError)
        assert time.monotonic() - start < 30


def test_a_thread_that_prints_after_its_task_waits_for_the_next(executor: SlotExecutor, capfd: Any) -> None:
    def leave_a_thread() -> None:
        def chat() -> None:
            for _ in range(100):
                print("x" * (1 << 20))

        threading.Thread(target=chat, daemon=True).start()

    executor.submit(leave_a_thread).result(60)
    time.sleep(0.5)
    held = sum(map(len, executor._slots[0]._worker._process._output))  # type: ignore[union-attr]
    assert held <= 2 << 20
    assert executor.submit(abs, -1).result(60) == 1


def test_characters_of_several_bytes_stay_whole(executor: SlotExecutor, capsys: pytest.CaptureFixture[str]) -> None:
    executor.submit(print, "€" * 300_001).result(60)
    assert capsys.readouterr().out == "€" * 300_001 + "\n"
