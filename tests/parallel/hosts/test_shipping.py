from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ffnn.parallel.agent import frames
from ffnn.parallel.hosts import shipping as module
from ffnn.parallel.hosts.shipping import DataChangedError, Shipping, ShippingError
from ffnn.parallel.tasks.store import Blob
from tests.support.agents import Connect, wait_until

pytestmark = pytest.mark.timeout(30)


def blob(name: str, size: int = 1000) -> Blob:
    return Blob(name, size, memoryview(bytes(size)))


def have(store: Shipping, *blobs: Blob) -> None:
    with store.having(blobs):
        pass


class Slow:
    """An agent that answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[Callable[[str | None], None]] = []
        self.puts: list[str] = []
        self.drops: list[str] = []

    def open_put(self, then: Callable[[str | None], None]) -> int:
        self.asked.append(then)
        return len(self.asked)

    def say(self, kind: int, channel: int, payload: bytes = b"") -> None:
        if kind == frames.PUT:
            self.puts.append(json.loads(payload)["name"])
        else:
            self.drops.append(payload.decode())

    def send_data(self, channel: int, buffers: Sequence[memoryview]) -> None: ...


def names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def test_it_is_sent_once_until_it_is_forgotten(connect: Connect) -> None:
    connection = connect()
    folder = connection.wait_for_facts(1).store
    with connection.store.having([blob("a"), blob("b")]):
        assert names(folder) == ["a", "b"]
    sent = connection.bytes_sent
    have(connection.store, blob("b"), blob("a"))
    assert connection.bytes_sent == sent
    (Path(folder) / "a").unlink()
    connection.store.forget(["a", "never there"])
    have(connection.store, blob("b"), blob("a"))
    assert names(folder) == ["a", "b"]
    assert 1000 < connection.bytes_sent - sent < 1200


def test_too_much_makes_room_but_for_what_is_in_use(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 2500)
    connection = connect()
    folder = connection.wait_for_facts(1).store
    with connection.store.having([blob("a")]):
        for name in "bcd":
            have(connection.store, blob(name))
        wait_until(lambda: names(folder) == ["a", "d"], "the least recently used are dropped")
    have(connection.store, blob("b"))
    wait_until(lambda: names(folder) == ["b", "d"], "they are, once they are not in use")


def in_thread(act: Callable[..., Any], *args: Any) -> tuple[threading.Thread, list[BaseException]]:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            act(*args)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, errors


def test_two_who_need_it_at_the_same_time_send_it_once() -> None:
    line = Slow()
    store = Shipping(line)
    threads = [in_thread(have, store, blob("a"))[0] for _ in range(4)]
    wait_until(lambda: line.asked, "it is sent")
    line.asked[0](None)
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert line.puts == ["a"]


def test_if_one_fails_the_next_one_tries() -> None:
    line = Slow()
    store = Shipping(line)
    first, errors = in_thread(have, store, blob("a", 2_000_000))
    wait_until(lambda: len(line.asked) == 1, "it is sent")
    second, none = in_thread(have, store, blob("a", 2_000_000))
    line.asked[0]("the disk is full")
    wait_until(lambda: len(line.asked) == 2, "it is sent again")
    line.asked[1](None)
    first.join(10)
    second.join(10)
    assert [str(error) for error in errors] == ["2.0 MB of data could not be stored: the disk is full"]
    assert isinstance(errors[0], ShippingError)
    assert not none


def test_data_that_changed_before_it_was_sent_never_stands_under_its_old_name(connect: Connect) -> None:
    connection = connect()
    folder = connection.wait_for_facts(1).store
    data = bytearray(1000)
    packed = Blob(hashlib.sha256(data).hexdigest(), 1000, memoryview(data))
    data[0] = 1
    with pytest.raises(DataChangedError, match="0.0 MB of a task's data changed while they were sent"):
        have(connection.store, packed)
    assert names(folder) == []
    data[0] = 0
    have(connection.store, packed)
    assert (Path(folder) / packed.name).read_bytes() == data
