from __future__ import annotations

import concurrent.futures
import threading
import time
from typing import Any

import pytest

from ffnn.exceptions import HostError, TaskPicklingError
from ffnn.executor import Future
from ffnn.parallel.slots.queue import Item, Queue
from ffnn.parallel.tasks.task import Packed

pytestmark = pytest.mark.timeout(20)


def item(pack: Any = lambda: Packed([b""])) -> Item:
    return Item("it", pack, Future[Any]())


def queue_of(n: int) -> tuple[Queue, list[Item]]:
    queue, items = Queue(), [item() for _ in range(n)]
    for each in items:
        queue.put(each)
    return queue, items


def later(act: Any, *args: Any) -> None:
    threading.Timer(0.2, act, args).start()


def test_items_come_in_their_order_and_a_second_try_first() -> None:
    queue, (first, second, third) = queue_of(3)
    assert queue.take() is first
    queue.put(first, first=True)
    assert [queue.take() for _ in range(4)] == [first, second, third, None]


def test_a_task_is_packed_once_and_only_when_it_is_needed() -> None:
    calls: list[int] = []

    def pack() -> Packed:
        calls.append(1)
        return Packed([b"packed"])

    one = item(pack)
    assert not calls
    assert one.packed is one.packed
    assert calls == [1]

    def fail() -> Packed:
        raise TaskPicklingError("it cannot be pickled")

    with pytest.raises(TaskPicklingError):
        _ = item(fail).packed


def test_waiting_ends_with_work_with_time_and_with_the_queue() -> None:
    queue = Queue()
    with pytest.raises(TimeoutError):
        queue.wait(0.05)
    later(queue.put, item())
    assert queue.wait(10)
    queue.close()
    assert queue.wait(10)  # what waits is still to be done
    queue.take()
    assert not queue.wait(10)


def test_what_was_cancelled_is_no_work() -> None:
    queue, (first, second) = queue_of(2)
    first.future.cancel()
    assert queue.wait(1)
    assert queue.take() is second
    second.take()
    queue.put(second, first=True)
    second.future.on_cancel(lambda: None)
    second.future.cancel()
    with pytest.raises(TimeoutError):
        queue.wait(0.05)


@pytest.mark.parametrize("how", ["by the queue", "before the queue is asked"])
def test_who_waits_for_futures_learns_that_they_were_cancelled(how: str) -> None:
    queue, items = queue_of(3)
    if how == "by the queue":
        queue.cancel_all()
    else:
        for each in items:
            each.future.cancel()
        queue.close()
        assert not queue.wait(1)
    # unlike done(), this needs to be told
    _, left = concurrent.futures.wait([each.future for each in items], 5)
    assert not left
    assert all(each.future.cancelled() for each in items)


def test_a_failure_is_for_what_waits_or_for_ever() -> None:
    queue, (first,) = queue_of(1)
    queue.fail_all(HostError("once"))
    assert str(first.future.exception(1)) == "once"
    second = item()
    queue.put(second)
    assert not second.future.done()
    queue.fail_all(HostError("for ever"), for_ever=True)
    third = item()
    queue.put(third)
    assert str(third.future.exception(1)) == str(second.future.exception(1)) == "for ever"
    with pytest.raises(TimeoutError):
        queue.wait(0.05)


def test_one_that_cannot_take_work_leaves_it_to_another() -> None:
    queue = Queue()
    woken = threading.Event()

    def other() -> None:
        queue.wait(10)
        woken.set()

    thread = threading.Thread(target=other)
    thread.start()
    queue.put(item())
    start = time.monotonic()
    queue.pass_on(0.3)
    assert 0.2 < time.monotonic() - start < 5
    assert woken.is_set()
    thread.join()
    later(queue.close)
    later(queue.cancel_all)
    queue.pass_on(10)
    assert time.monotonic() - start < 8


def test_the_end_of_all_is_waited_for() -> None:
    queue, (first, second) = queue_of(2)
    ended = threading.Event()

    def wait() -> None:
        queue.wait_for_all()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    taken = queue.take()
    assert taken is first
    taken.take()
    queue.close()
    second.future.cancel()
    assert not ended.wait(0.2)
    queue.put(first, first=True)  # a second try is no second task
    first.future.settle(1)
    assert ended.wait(5)
