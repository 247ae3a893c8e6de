from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ffnn.exceptions import TaskFailedError, TaskPicklingError
from ffnn.executor import Task
from ffnn.parallel.task import open_outcome, pack, run_packed, unpack
from ffnn.parallel.wire import Kind


class Stubborn(Exception):
    """Can be pickled, but not back."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(one)


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class OneWay:
    def __reduce__(self) -> Any:
        return (int, ("not a number",))


def outcome(function: Any, *args: Any) -> Any:
    return open_outcome(run_packed(pack(Task(function, args), "it")), "it")[1]()


def throw(make: Callable[[], BaseException]) -> None:
    raise make()


def test_large_arrays_are_not_copied() -> None:
    array = np.arange(100_000.0)
    head, *buffers = pack(Task(np.sum, (array, {"nested": [array]})), "it")
    assert len(head) < 1000
    assert len(buffers) == 1  # the same array twice travels once
    assert np.shares_memory(np.frombuffer(buffers[0]), array)


def test_small_arrays_stay_in_the_pickle() -> None:
    assert len(pack([np.arange(10.0)] * 100, "it")) == 1


def test_a_non_contiguous_array_travels() -> None:
    array = np.arange(100_000.0).reshape(100, -1)[:, ::2]
    np.testing.assert_array_equal(unpack(pack(array, "it"), "it"), array)


def test_a_result_and_its_seconds_come_back() -> None:
    kind, buffers = run_packed(pack(Task(divmod, (7, 3)), "it"))
    assert kind is Kind.RESULT
    seconds, result = open_outcome((kind, buffers), "it")
    assert result() == (2, 1)
    assert 0 <= seconds < 1


def test_an_exception_comes_back_with_where_it_was_raised() -> None:
    with pytest.raises(KeyError, match="missing") as caught:
        outcome(throw, lambda: KeyError("missing"))
    text = str(caught.value.__cause__)
    assert "in throw" in text
    assert "run_packed" not in text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Stubborn(1, 2), "throw raised Stubborn: 1"),
        (lambda: Silent(threading.Lock()), r"throw raised Silent: \(its message cannot be shown\)"),
        (lambda: ValueError("odd", threading.Lock()), "throw raised ValueError: .*cannot pickle"),
        (lambda: SystemExit(3), "throw raised SystemExit: 3"),
        (lambda: KeyboardInterrupt(), "throw raised KeyboardInterrupt"),
    ],
)
def test_what_cannot_be_raised_here_has_a_name(make: Callable[[], BaseException], message: str) -> None:
    with pytest.raises(TaskFailedError, match=message):
        outcome(throw, make)


def test_what_cannot_be_pickled_is_named() -> None:
    with pytest.raises(TaskPicklingError, match="the arguments cannot be pickled.*lock") as caught:
        pack(threading.Lock(), "the arguments")
    assert isinstance(caught.value, pickle.PicklingError)
    with pytest.raises(TaskPicklingError, match="the result of .*lock cannot be pickled"):
        outcome(threading.Lock)


def test_what_cannot_be_unpickled_is_named() -> None:
    with pytest.raises(TaskPicklingError, match="the task cannot be unpickled: ValueError"):
        outcome(print, OneWay())
    with pytest.raises(TaskPicklingError, match="the result of it cannot be unpickled: ValueError"):
        outcome(OneWay)


def test_tasks_have_names() -> None:
    assert Task(throw).name == "throw"
    assert Task(OneWay.__reduce__).name == "OneWay.__reduce__"
    assert Task(OneWay()).name == "OneWay"  # type: ignore[arg-type]
