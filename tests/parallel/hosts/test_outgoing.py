from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from ffnn.parallel.hosts.outgoing import Outgoing
from tests.support.agents import wait_until

pytestmark = pytest.mark.timeout(30)


class Pipe:
    def __init__(self) -> None:
        self.source, sink = os.pipe()
        self.outgoing = Outgoing(os.fdopen(sink, "wb", buffering=0))

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (piece := os.read(self.source, size - len(data))):
            data += piece
        return data


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.outgoing.close()
    os.close(pipe.source)


def test_what_fits_is_written_at_once(pipe: Pipe) -> None:
    pipe.outgoing.send([memoryview(b"one"), memoryview(b""), memoryview(b"two")])
    assert not pipe.outgoing.busy
    assert pipe.read(6) == b"onetwo"
    assert pipe.outgoing.n_bytes == 6
    assert pipe.outgoing.n_taken == 0  # that it fits into a pipe does not say that anybody reads


def test_what_does_not_fit_blocks_nobody_and_keeps_its_order(pipe: Pipe) -> None:
    pieces = [os.urandom(100_000) for _ in range(50)]
    for piece in pieces:
        pipe.outgoing.send([memoryview(piece)])
    assert pipe.outgoing.busy
    assert pipe.read(5_000_000) == b"".join(pieces)
    wait_until(lambda: not pipe.outgoing.busy, "all is written")
    assert pipe.outgoing.n_bytes == 5_000_000
    assert 4_000_000 < pipe.outgoing.n_taken < 5_000_000


def test_many_threads_may_send(pipe: Pipe) -> None:
    def send(letter: bytes) -> None:
        for _ in range(200):
            pipe.outgoing.send([memoryview(letter * 1000), memoryview(letter * 500)])

    threads = [threading.Thread(target=send, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    data = pipe.read(3 * 200 * 1500)
    for thread in threads:
        thread.join()
    messages = [data[i : i + 1500] for i in range(0, len(data), 1500)]
    assert all(len(set(message)) == 1 for message in messages)  # none is torn


def test_a_close_drops_what_waits(pipe: Pipe) -> None:
    pipe.outgoing.send([memoryview(bytes(5_000_000))])
    pipe.outgoing.close()
    assert not pipe.outgoing.busy
    assert len(pipe.read(5_000_000)) < 5_000_000  # and the reader sees the end
    pipe.outgoing.send([memoryview(b"more")])
    pipe.outgoing.close()


def test_a_reader_that_is_gone_is_no_error_here(pipe: Pipe) -> None:
    pipe.outgoing.send([memoryview(bytes(5_000_000))])
    os.dup2(os.open(os.devnull, os.O_RDONLY), pipe.source)
    wait_until(lambda: not pipe.outgoing.busy, "it is given up")
    pipe.outgoing.send([memoryview(b"more")])
    assert not pipe.outgoing.busy
