"""Stores of computed values: once each, within a bound, whoever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ffnn.parallel.sharing.folder_store import FolderStore
from ffnn.parallel.sharing.memory_store import MemoryStore
from ffnn.parallel.sharing.store import Store
from tests.support.agents import wait_until

pytestmark = pytest.mark.timeout(60)

LIMIT = 4 << 20
MIB = 1 << 20


@pytest.fixture(params=[MemoryStore, FolderStore])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore(LIMIT) if request.param is MemoryStore else FolderStore(tmp_path, LIMIT)


class Counted:
    """Computes a value, and counts how often."""

    def __init__(self, value: Any = None, shareable: bool = True, act: Callable[[], object] = lambda: None) -> None:
        self.value, self.shareable, self.act = value, shareable, act
        self.n = 0

    def __call__(self) -> tuple[Any, bool]:
        self.n += 1
        self.act()
        return self.value, self.shareable


def test_a_value_is_computed_once_and_each_use_is_a_copy(store: Store) -> None:
    make = Counted({"text": "abc", "small": np.arange(3), "large": np.arange(100_000.0).reshape(2, -1)})
    assert store.get("name", make)[1]
    for _ in range(2):
        found, shared = store.get("name", make)
        assert shared
        assert found["text"] == "abc"
        np.testing.assert_array_equal(found["small"], np.arange(3))
        np.testing.assert_array_equal(found["large"], np.arange(100_000.0).reshape(2, -1))
        found["large"] += 1  # as a transformer with copy=False does
        found["small"] += 1
    assert make.n == 1
    assert store.get("other", Counted(2)) == (2, True)


def test_threads_wait_for_the_one_that_computes(store: Store) -> None:
    make = Counted("value", act=lambda: time.sleep(0.3))
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(store.get("name", make))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [("value", True)] * 4
    assert make.n == 1


def test_after_an_error_the_next_computes(store: Store) -> None:
    def fail() -> tuple[Any, bool]:
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            store.get("name", fail)
    assert store.get("name", Counted(1)) == (1, True)


@pytest.mark.parametrize("kind", ["not shareable", "too large", "cannot be pickled"])
def test_what_is_not_shared_is_computed_by_each_at_the_same_time(store: Store, kind: str) -> None:
    value = {"not shareable": 1, "too large": np.zeros(2 * LIMIT, np.uint8), "cannot be pickled": threading.Lock()}[
        kind
    ]
    assert store.get("name", Counted(value, kind != "not shareable")) == (value, False)
    both = threading.Barrier(2)
    make = Counted(value, True, lambda: both.wait(10))  # each waits for the other
    threads = [threading.Thread(target=store.get, args=("name", make)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert make.n == 2
    assert not both.broken


def test_what_was_used_last_stays_within_the_bound(store: Store) -> None:
    makes = {name: Counted(np.full(MIB, ord(name), np.uint8)) for name in "abcdef"}
    for name in "abc":
        store.get(name, makes[name])
        time.sleep(0.01)  # the file system's clock
    store.get("a", makes["a"])
    time.sleep(0.01)
    for name in "de":
        store.get(name, makes[name])
        time.sleep(0.01)
    for name in "aed":
        assert store.get(name, makes[name])[0][0] == ord(name)
    assert [makes[name].n for name in "abcde"] == [1, 1, 1, 1, 1]
    for name in "bc":
        store.get(name, makes[name])
    assert [makes[name].n for name in "bc"] == [2, 2]


def test_the_files_of_a_folder_stay_within_the_bound(tmp_path: Path) -> None:
    store = FolderStore(tmp_path, LIMIT)
    for number in range(20):
        store.get(str(number), Counted(np.zeros(MIB, np.uint8)))
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= LIMIT
    store = FolderStore(tmp_path, MIB)
    for number in range(400):
        store.get(f"small {number}", Counted(1, number % 2 == 0))
    assert len(list(tmp_path.iterdir())) <= MIB // 4096


def test_a_value_that_is_dropped_stays_with_who_has_it(tmp_path: Path) -> None:
    store = FolderStore(tmp_path, LIMIT)
    store.get("a", Counted(np.ones(MIB, np.uint8)))
    mapped = store.get("a", Counted())[0]
    for path in tmp_path.iterdir():
        path.unlink()
    assert mapped.sum() == MIB


HOLD = """
import sys, time
from ffnn.parallel.sharing.folder_store import FolderStore
def make():
    print("computing", flush=True)
    time.sleep(60)
FolderStore(sys.argv[1], 1 << 20).get("name", make)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_dies_leaves_its_place_to_the_next(tmp_path: Path, number: int) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        make = Counted("mine")
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(FolderStore(tmp_path, LIMIT).get("name", make)))
        thread.start()
        time.sleep(0.3)
        assert make.n == 0  # it waits
        process.send_signal(number)
        thread.join(20)
    assert found == [("mine", True)]
    assert {path.name for path in tmp_path.iterdir()} == {"name"}


def test_a_folder_that_cannot_be_written_to_is_no_obstacle(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "gone", LIMIT)
    assert store.get("name", Counted(1)) == (1, False)


def test_a_fork_does_not_wait_for_the_threads_of_its_parent() -> None:
    store = MemoryStore(LIMIT)
    held, go_on = threading.Event(), threading.Event()
    make = Counted(1, act=lambda: (held.set(), go_on.wait(30)))
    thread = threading.Thread(target=store.get, args=("name", make))
    thread.start()
    held.wait(10)
    pid = os.fork()
    if not pid:
        os._exit(store.get("name", Counted(7))[0])
    ended: list[int] = []
    try:
        wait_until(lambda: ended.extend(os.waitpid(pid, os.WNOHANG)) or ended[-2:-1] == [pid], "the fork is done")
    finally:
        go_on.set()
        thread.join()
    assert os.waitstatus_to_exitcode(ended[-1]) == 7
