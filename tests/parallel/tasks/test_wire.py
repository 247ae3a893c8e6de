from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

import pytest

from ffnn.parallel.tasks.wire import Kind, PipeChannel

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


@pytest.mark.parametrize("sizes", [[], [0], [5], [0, 70_000, 0, 3], [3_000_000, 1], [7] * 1500])
def test_buffers_arrive_as_they_were_sent(pipe: tuple[int, int], sizes: list[int]) -> None:
    channel = PipeChannel(*pipe)
    sent = [os.urandom(size) for size in sizes]

    def send_twice() -> None:
        channel.send(Kind.TASK, sent)
        channel.send(Kind.TASK, sent)

    writer = threading.Thread(target=send_twice)
    writer.start()
    for _ in range(2):
        kind, buffers = channel.receive()
        assert kind is Kind.TASK
        assert [bytes(buffer) for buffer in buffers] == sent
    writer.join()


def test_the_end_is_seen(pipe: tuple[int, int]) -> None:
    channel = PipeChannel(*pipe)
    os.write(pipe[1], b"\x02")
    os.close(pipe[1])
    with pytest.raises(EOFError):
        channel.receive()
