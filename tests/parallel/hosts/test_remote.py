from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from ffnn.parallel.agent import frames
from ffnn.parallel.hosts.remote import Process

pytestmark = pytest.mark.timeout(20)


class Line:
    def __init__(self) -> None:
        self.said: list[int] = []

    def say(self, kind: int, channel: int, payload: bytes = b"") -> None:
        self.said.append(kind)

    def send_data(self, channel: int, buffers: Sequence[memoryview]) -> None:
        self.said.append(frames.DATA)


def test_output_comes_in_order_and_ends() -> None:
    process = Process(1, Line())
    for data in (b"one", b"two"):
        process.take_output(data)
    process.take_exit(0)
    assert [process.read() for _ in range(4)] == [b"one", b"two", b"", b""]
    assert process.exit_code == 0
    assert process.lost is None
    assert not process.alive


def test_a_read_waits_until_its_deadline() -> None:
    process = Process(1, Line())
    with pytest.raises(TimeoutError):
        process.read(time.monotonic() + 0.05)
    threading.Timer(0.1, process.take_output, [b"late"]).start()
    assert process.read(time.monotonic() + 10) == b"late"
    assert not process.wait(0.05)


def test_a_loss_is_no_exit() -> None:
    process = Process(1, Line())
    threading.Timer(0.1, process.take_loss, ["the cable"]).start()
    assert process.read() == b""
    assert process.wait(1)
    assert process.exit_code is None
    assert process.lost == "the cable"


def test_what_has_ended_is_not_spoken_to() -> None:
    line = Line()
    process = Process(1, line)
    process.send([memoryview(b"x")])
    process.end()
    process.take_exit(-9)
    process.end()
    with pytest.raises(BrokenPipeError):
        process.send([memoryview(b"x")])
    assert line.said == [frames.DATA, frames.CLOSE]
