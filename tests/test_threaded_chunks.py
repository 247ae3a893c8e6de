"""Passes over large arrays in threads give what a pass in one thread gives, and find what is not finite."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal

from ffnn import MLPClassifier
from ffnn._utils.threads import LARGE, ThreadedChunks, surely_finite

N_ROWS = LARGE // 4 // 16 + 3


@pytest.fixture
def large() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((N_ROWS, 16)).astype("float32")


@pytest.fixture(autouse=True)
def three_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")


@pytest.fixture
def passes(three_threads: None) -> Iterator[ThreadedChunks]:
    with ThreadedChunks() as passes:
        yield passes


def test_parts_are_all_rows_in_order_each_in_a_thread(large: np.ndarray, passes: ThreadedChunks) -> None:
    copy, threads = np.zeros_like(large), set()
    together = threading.Barrier(3, timeout=60)

    def fill(to: np.ndarray, of: np.ndarray) -> int:
        together.wait()
        threads.add(threading.get_ident())
        to[...] = of
        return len(to)

    assert sum(passes.over(fill, copy, large)) == N_ROWS
    assert sum(passes.over(fill, copy, large)) == N_ROWS
    assert len(threads) == 3
    assert_array_equal(copy, large)


@pytest.mark.parametrize("allowed", ["1", "many"])
def test_one_thread_has_one_part(large: np.ndarray, allowed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", allowed)
    monkeypatch.setattr("joblib.cpu_count", lambda: 1)
    with ThreadedChunks() as passes:
        assert passes.over(len, large) == [N_ROWS]


def test_a_small_array_is_one_part(large: np.ndarray, passes: ThreadedChunks) -> None:
    assert passes.over(len, large[:8]) == [8]


def test_an_error_in_a_thread_is_raised(large: np.ndarray, passes: ThreadedChunks) -> None:
    def fail(part: np.ndarray) -> None:
        if part[-1, -1] == large[-1, -1]:
            raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        passes.over(fail, large)


def test_nobody_works_on_the_arrays_after_an_error(large: np.ndarray, passes: ThreadedChunks) -> None:
    done = []

    def fail_first(part: np.ndarray) -> None:
        if part[0, 0] == large[0, 0]:
            raise MemoryError("no room")
        time.sleep(0.2)
        done.append(len(part))

    with pytest.raises(MemoryError, match="no room"):
        passes.over(fail_first, large)
    assert len(done) == 2


def test_what_is_finite(large: np.ndarray, tmp_path: Path) -> None:
    assert surely_finite(large, "float32")
    np.save(tmp_path / "X.npy", large)
    assert surely_finite(np.load(tmp_path / "X.npy", mmap_mode="r"), "float32")
    assert surely_finite(np.asfortranarray(large), "float32")
    assert not surely_finite(large, "float64")  # which it is converted to, and then looked at
    assert not surely_finite(large[:8], "float32")
    assert not surely_finite(large[:, 0], "float32")
    assert not surely_finite(large.tolist()[:8], "float32")
    with sklearn.config_context(assume_finite=True):
        assert not surely_finite(large, "float32")


@pytest.mark.parametrize("row", [0, N_ROWS // 2, N_ROWS - 1])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_left_to_scikit_learn(large: np.ndarray, row: int, value: float) -> None:
    mlp = MLPClassifier((2,), n_epochs=1, batch_size=4096).fit(large[:64], np.arange(64) % 2)
    large[row, 3] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = np.arange(N_ROWS) % 2
        few = np.zeros((64, 16), np.float32)
        for call in (mlp.predict, lambda X: mlp.fit(X, y), lambda X: mlp.fit(few, y[:64], X_val=X, y_val=y)):
            with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
                call(large)


def test_sums_that_are_no_number_are_no_verdict(large: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not surely_finite(np.full_like(large, np.finfo("float32").max), "float32")
        large[0, :2] = np.inf, -np.inf
        assert not surely_finite(large, "float32")
