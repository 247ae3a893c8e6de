from __future__ import annotations

import mmap
import os
import pickle
import string
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from ffnn.exceptions import TaskFailedError, TaskPicklingError
from ffnn.executor import Executor, Future, Task
from ffnn.parallel.backend import FfnnBackend
from ffnn.parallel.tasks import pickler
from ffnn.parallel.tasks.store import LEAST, Hashes, MissingDataError, missing, write
from ffnn.parallel.tasks.task import Packed, open_outcome, pack, pack_task, run_packed, unpack
from ffnn.parallel.tasks.wire import Kind


class Stubborn(Exception):
    """Can be pickled, but not back: in ``__new__`` too, since a process that imported Dask goes round ``__init__``."""

    def __new__(cls, one: int, two: int) -> Stubborn:
        return super().__new__(cls, one)

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


# --- with a store


class Folder:
    """A host's store, and the one who ships to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hashes = Hashes()
        self.n_shipped = 0

    def ship(self, packed: Packed) -> list[Any]:
        lacks = missing(packed.buffers, self.path)
        for blob in packed.blobs:
            if blob.name in lacks:
                self.n_shipped += blob.size
                write(self.path, blob.name, [blob.data])
        return [bytearray(buffer) for buffer in packed.buffers]  # as they are received

    def run(self, function: Any, *args: Any) -> Any:
        buffers = self.ship(pack_task(Task(function, args), "it", self.hashes))
        return open_outcome(run_packed(buffers, str(self.path)), "it")[1]()

    def trip(self, *args: Any) -> tuple[Any, ...]:
        """Return what arrives; it is kept from travelling back."""
        arrived: list[tuple[Any, ...]] = []
        SINK.append(arrived)
        self.run(keep, *args)
        return SINK.pop()[0]


SINK: list[list[tuple[Any, ...]]] = []


def keep(*args: Any) -> None:
    SINK[-1].append(args)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def same(one: Any, two: Any) -> bool:
    """Whether two things are equal in all that a pickle keeps."""
    if type(one) is not type(two):
        return False
    if isinstance(one, np.ndarray):
        # NumPy's own pickles of what is not contiguous lose the byte order
        if one.dtype.newbyteorder("=") != two.dtype.newbyteorder("=") or one.shape != two.shape:
            return False
        if isinstance(one, np.ma.MaskedArray) and not np.array_equal(one.mask, two.mask):
            return False
        return same(np.asarray(one).ravel().tolist(), np.asarray(two).ravel().tolist())
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, dict):
        return same(list(one), list(two)) and same(list(one.values()), list(two.values()))
    return bool(one == two) or one is two or (one != one and two != two)


N = LEAST // 4
NUMBERS = np.arange(2 * N, dtype=np.float64).reshape(2, N)
TEXTS = [f"text {i} " * 100 for i in range(1000)]


@pytest.mark.parametrize(
    "data",
    [
        NUMBERS,
        np.asfortranarray(NUMBERS.reshape(N, 2)),
        NUMBERS[:, ::2],
        NUMBERS[::-1],
        NUMBERS.astype(">f4"),
        NUMBERS.astype("M8[s]"),
        NUMBERS.astype("m8[ms]")[:, ::2],
        NUMBERS > 7,
        NUMBERS.astype(np.complex64),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        np.array(TEXTS, dtype=object).reshape(20, -1).T[::2],
        np.array([None, *TEXTS, np.nan, 7, b"bytes"], dtype=object),
        np.array([*TEXTS, ["a", "list"]], dtype=object),
        np.zeros(N, [("name", "U5"), ("value", ">i4", (2,))]),
        np.zeros(N, [("name", object), ("value", float)]),
        np.rec.array(np.zeros(N, [("value", float)])),
        np.ma.masked_array(NUMBERS, NUMBERS > 7),
        np.matrix(NUMBERS),
        TEXTS,
        tuple(TEXTS),
        list(np.array(TEXTS)),
        [text.encode() for text in TEXTS],
        list(map(float, range(N))),
        "é" * LEAST,
        bytes(LEAST),
    ],
    ids=lambda data: f"{type(data).__name__}-{getattr(data, 'dtype', '')}"[:40],
)
def test_large_data_arrive_as_they_were(folder: Folder, data: Any) -> None:
    arrived, [again], text = folder.trip(data, [data], "short")
    assert same(arrived, data)
    assert again is arrived  # as in any pickle
    assert text == "short"
    if isinstance(data, np.ndarray):
        assert arrived.flags.f_contiguous == data.flags.f_contiguous


def test_hardly_anything_is_left_in_the_task() -> None:
    frame = pd.DataFrame({"x": np.arange(N), "text": TEXTS * (N // 1000) + TEXTS[: N % 1000], "y": np.arange(N)})
    frame["when"] = pd.Timestamp("2026-11-01") + pd.to_timedelta(frame["x"], "s")
    memory = np.asfortranarray(NUMBERS)
    for data in (frame, NUMBERS[:, ::2], memory, scipy.sparse.csr_array(NUMBERS), TEXTS, {"deep": [(TEXTS,)]}):
        packed = pack_task(Task(print, (data, NUMBERS[0])), "it", Hashes())
        assert sum(map(len, packed.buffers)) < 5000
        assert len({blob.name for blob in packed.blobs}) == len(packed.blobs) >= 2


@pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, scipy.sparse.csc_array, scipy.sparse.coo_array])
def test_sparse_arrays_arrive(folder: Folder, kind: Any) -> None:
    data = kind(scipy.sparse.random(500, 5000, 0.1, random_state=0))
    (arrived,) = folder.trip(data)
    assert type(arrived) is kind
    assert arrived.format == data.format
    assert (arrived != data).nnz == 0
    assert folder.n_shipped > data.data.nbytes


def test_data_frames_arrive(folder: Folder) -> None:
    data = pd.DataFrame(
        {
            "x": np.arange(N),
            "text": pd.Series((TEXTS * (1 + N // len(TEXTS)))[:N]),
            "kind": pd.Categorical(["a", "b"] * (N // 2)),
        }
    )
    data["when"] = pd.Timestamp("2026-11-01") + pd.to_timedelta(data["x"], "s")
    data.loc[3, "text"] = None
    data.index = [f"row {i}" for i in range(N)]
    (arrived,) = folder.trip(data)
    pd.testing.assert_frame_equal(arrived, data)


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
def test_a_memory_map_arrives(folder: Folder, tmp_path: Path, mode: Any) -> None:
    NUMBERS.tofile(tmp_path / "data.bin")
    data = np.memmap(tmp_path / "data.bin", np.float64, mode, shape=NUMBERS.shape)
    arrived, part = folder.trip(data, data[:, 1:])
    assert same(arrived, data)
    assert same(part, data[:, 1:])
    assert arrived.flags.writeable == (mode != "r")
    packed = pack_task(Task(print, (data,)), "it", folder.hashes)
    assert np.shares_memory(np.frombuffer(packed.blobs[0].data), data), "the map itself is sent"


def test_large_arrays_are_sent_from_where_they_lie() -> None:
    for data in (NUMBERS, np.asfortranarray(NUMBERS), NUMBERS.astype("M8[s]")):
        (blob,) = pack_task(Task(print, (data,)), "it", Hashes()).blobs
        assert np.shares_memory(np.frombuffer(blob.data), data)


def test_what_was_read_only_is_so_on_the_worker_and_nothing_else_is(folder: Folder) -> None:
    data, short = NUMBERS.copy(), np.arange(10_000)
    data.flags.writeable = short.flags.writeable = False
    arrived = folder.trip(data, short, NUMBERS, np.arange(10_000), np.arange(10))
    assert [array.flags.writeable for array in arrived] == [False, False, True, True, True]


def spoil(*arrays: Any) -> list[float]:
    for array in arrays:
        array[0] = -1
    return [float(array[1][0]) for array in arrays]


def test_who_writes_to_data_writes_to_a_copy(folder: Folder) -> None:
    data = NUMBERS.copy()
    equal = NUMBERS.copy()
    (blob,) = pack_task(Task(spoil, (data, equal)), "it", folder.hashes).blobs
    before, untouched = folder.trip(data, equal)
    before[0] = -2
    assert same(untouched, NUMBERS), "equal data in one file are two arrays"
    assert folder.run(spoil, data, equal) == [N, N]
    (after,) = folder.trip(data)
    assert same(after, NUMBERS)
    assert (folder.path / blob.name).read_bytes() == NUMBERS.tobytes()
    assert same(data, NUMBERS)


def test_arrays_are_mapped_not_read(folder: Folder) -> None:
    (arrived,) = folder.trip(NUMBERS)
    owner = arrived
    while isinstance(owner, np.ndarray | memoryview):
        owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
    assert isinstance(owner, mmap.mmap)
    assert pack_task(Task(print, (NUMBERS,)), "it", Hashes()).blobs[0].name in Path("/proc/self/maps").read_text()


def test_equal_things_stay_two(folder: Folder) -> None:
    one, two, three, four = folder.trip(TEXTS, list(TEXTS), NUMBERS, NUMBERS.copy())
    assert one == two
    assert one is not two
    assert not np.shares_memory(three, four)
    assert folder.n_shipped < NUMBERS.nbytes + 2 * len(TEXTS[0]) * len(TEXTS)


def test_a_small_task_is_what_it_always_was() -> None:
    task = Task(print, ([np.arange(10), np.arange(10_000), "text", list(range(100))],))
    packed = pack_task(task, "it", Hashes())
    assert packed.blobs == ()
    assert packed.buffers == pack(task, "it")


def test_the_store_is_that_of_the_environment(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    buffers = folder.ship(pack_task(Task(np.sum, (NUMBERS,)), "it", folder.hashes))
    monkeypatch.delenv("FFNN_STORE", raising=False)
    with pytest.raises(MissingDataError, match="no store"):
        open_outcome(run_packed(buffers), "it")[1]()
    monkeypatch.setenv("FFNN_STORE", str(folder.path))
    assert open_outcome(run_packed(buffers), "it")[1]() == NUMBERS.sum()


def test_data_that_are_missing_or_torn_are_named_and_can_be_shipped_again(folder: Folder) -> None:
    packed = pack_task(Task(len, ([NUMBERS, TEXTS],)), "it", folder.hashes)
    buffers = folder.ship(packed)
    first, second = packed.blobs
    (folder.path / first.name).unlink()
    os.truncate(folder.path / second.name, second.size - 1)
    kind, outcome = run_packed(buffers, str(folder.path))
    assert kind is Kind.ERROR
    with pytest.raises(MissingDataError) as caught:
        open_outcome((kind, outcome), "it")[1]()
    assert set(caught.value.names) == {first.name, second.name} == set(missing(buffers, folder.path))
    folder.ship(packed)
    assert open_outcome(run_packed(buffers, str(folder.path)), "it")[1]() == 2


def test_a_task_with_data_that_cannot_be_pickled_or_unpickled_is_named(folder: Folder) -> None:
    with pytest.raises(TaskPicklingError, match="it cannot be pickled.*lock"):
        pack_task(Task(print, (TEXTS, threading.Lock())), "it", folder.hashes)
    with pytest.raises(TaskPicklingError, match="the task cannot be unpickled: ValueError"):
        folder.run(print, TEXTS, OneWay())


# --- any nesting, at sizes that hypothesis likes

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
DTYPES = stn.scalar_dtypes() | stn.unicode_string_dtypes() | stn.array_dtypes(max_size=3)
ARRAYS = DTYPES.flatmap(lambda dtype: stn.arrays(dtype, stn.array_shapes(min_side=0, max_side=9)))
OBJECTS = st.lists(st.text() | st.none(), max_size=30).map(lambda items: np.array([*items, None], dtype=object)[:-1])
VIEWS = (ARRAYS | OBJECTS).flatmap(
    lambda array: st.sampled_from([array, array.T, array[::-1], array[::2], np.asfortranarray(array)])
)
NESTED = st.recursive(
    PLAIN | VIEWS | st.text(string.ascii_letters, min_size=60) | st.lists(PLAIN, min_size=8, max_size=30),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("store"))


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(NESTED)
def test_anything_arrives(shared: Folder, data: Any) -> None:
    with mock.patch.multiple(pickler, LEAST=64, BESIDE=16):
        shared.hashes.clear()
        arrived, again, [inner] = shared.trip(data, data, [data])
    assert same(arrived, data)
    if not isinstance(data, int | bytes | str | float | tuple | None):
        assert again is arrived
        assert inner is arrived
        assert arrived is not data


# --- as a search does it


class OneHost(Executor):
    """Runs tasks here, but through their envelopes."""

    n_workers = 1

    def __init__(self, folder: Folder) -> None:
        super().__init__()
        self.folder = folder
        self.sizes: list[int] = []

    def _start(self, task: Task, future: Future[Any]) -> None:
        future.set_running_or_notify_cancel()
        packed = pack_task(task, task.name, self.folder.hashes)
        self.sizes.append(sum(map(len, packed.buffers)))
        outcome = run_packed(self.folder.ship(packed), str(self.folder.path))
        try:
            future.settle(open_outcome(outcome, task.name)[1]())
        except Exception as error:
            future.fail(error)


@pytest.fixture
def texts() -> list[str]:
    random = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(2000)])
    return [" ".join(words[(random.zipf(1.5, 400) + i % 2) % 2000]) for i in range(200)]


def sizes_of_tasks(folder: Folder, search: GridSearchCV, data: Any, labels: Any) -> list[int]:
    """Run a search of six fits on another host, which finds the same scores; return the sizes of its tasks."""
    expected = search.fit(data, labels).cv_results_["mean_test_score"]
    executor = OneHost(folder)
    with executor, joblib.parallel_config(FfnnBackend(executor=executor)):
        found = search.fit(data, labels).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(found, expected)
    assert len(executor.sizes) == 6
    return executor.sizes


@pytest.mark.parametrize("kind", [list, pd.Series, lambda texts: np.array(texts, dtype=object)])
def test_a_search_over_texts_ships_them_once(folder: Folder, texts: list[str], kind: Any) -> None:
    data = kind(texts)
    search = GridSearchCV(
        make_pipeline(CountVectorizer(), LogisticRegression()), {"logisticregression__C": [0.1, 1.0]}, cv=3
    )
    sizes = sizes_of_tasks(folder, search, data, np.arange(200) % 2)
    assert max(sizes) < 100_000  # mostly scikit-learn's settings and the filters of warnings
    assert len(os.listdir(folder.path)) == 1
    assert sum(map(len, texts)) <= folder.n_shipped < 1.1 * sum(map(len, texts))


@pytest.mark.parametrize("kind", [scipy.sparse.csr_matrix, np.asfortranarray, pd.DataFrame])
def test_a_search_over_numbers_ships_them_once(folder: Folder, kind: Any) -> None:
    random = np.random.default_rng(0)
    data = kind(random.normal(size=(600, 200)))
    labels = random.integers(0, 2, 600)
    search = GridSearchCV(LogisticRegression(max_iter=20, tol=1.0), {"C": [0.1, 1.0]}, cv=3)
    assert max(sizes_of_tasks(folder, search, data, labels)) < 100_000
    assert folder.n_shipped < 1.6 * 600 * 200 * 8


def test_a_module_that_is_missing_there_has_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_here.py").write_text("def answer():\n    return 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here  # type: ignore[import-not-found]

    packed = pack_task(Task(only_here.answer), "it", Hashes())
    monkeypatch.delitem(sys.modules, "only_here")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(tmp_path)])
    _, outcome = open_outcome(run_packed(packed.buffers), "it")
    with pytest.raises(TaskPicklingError, match=r"Install only_here where .*register_pickle_by_value\(only_here\)"):
        outcome()
