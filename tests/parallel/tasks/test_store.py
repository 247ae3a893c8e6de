from __future__ import annotations

import array
import hashlib
import mmap
import os
import pickle
import resource
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ffnn._utils.span import Span
from ffnn.exceptions import ExecutorError
from ffnn.executor import Task
from ffnn.parallel.tasks import blobs
from ffnn.parallel.tasks.store import LEAST, Blob, Hashes, Layout, MissingDataError, missing, open_blobs, write
from ffnn.parallel.tasks.task import pack_task


def sha(data: Any) -> str:
    return hashlib.sha256(data).hexdigest()


def put(folder: Path, data: bytes) -> str:
    write(folder, sha(data), [data])
    return sha(data)


def names(*things: Any, hashes: Hashes | None = None) -> set[str]:
    return {blob.name for blob in pack_task(Task(print, things), "it", hashes or Hashes()).blobs}


# --- names


def test_a_blob_is_named_after_its_bytes_and_holds_them_where_they_lie() -> None:
    data = np.arange(1000.0)
    blob = Hashes().blob(pickle.PickleBuffer(data))
    assert (blob.name, blob.size) == (sha(data), 8000)
    assert np.shares_memory(np.frombuffer(blob.data), data)
    assert blob == Hashes().blob(data.tobytes()) == Blob(blob.name, 8000, memoryview(b""))
    assert len({blob, Hashes().blob(bytearray(data.tobytes()))}) == 1


TEXTS = [f"text {i} " * 100 for i in range(1000)]


@pytest.mark.parametrize(
    ("data", "change"),
    [
        (np.zeros(LEAST), lambda x: x.__setitem__(7, 1)),
        (np.zeros((LEAST, 2))[:, 0], lambda x: x.__setitem__(7, 1)),  # copied, and the copy kept
        (bytearray(LEAST), lambda x: x.__setitem__(7, 1)),
        (TEXTS.copy(), lambda x: x.__setitem__(7, "changed")),
        (np.array(TEXTS, dtype=object), lambda x: x.__setitem__(7, "changed")),
    ],
    ids=["array", "strided array", "bytearray", "list of text", "array of text"],
)
def test_data_are_hashed_once_until_clear(data: Any, change: Any) -> None:
    hashes = Hashes()

    def name() -> Any:
        return hashes.blob(data).name if isinstance(data, bytearray) else names(data, hashes=hashes)

    before = name()
    change(data)
    assert name() == before  # the only proof that nobody looked again
    hashes.clear()
    assert name() != before


@pytest.mark.parametrize("data", [np.zeros(LEAST), np.zeros((LEAST, 2))[:, 0], np.array(TEXTS, dtype=object)])
def test_data_are_hashed_again_once_no_task_holds_them(data: Any) -> None:
    def blobs_of(span: Span) -> set[str]:
        return {blob.name for blob in pack_task(Task(print, (data,)), "it", hashes, span).blobs}

    hashes = Hashes()
    first, second = Span(), Span()
    before = blobs_of(first)
    data[7] = data[8] * 2 if isinstance(data[8], str) else 1
    assert blobs_of(second) == before  # the two overlap, so nobody had the right to change them
    first.end()
    third = Span()
    assert blobs_of(third) == before  # held by the second all the time
    second.end()
    third.end()
    assert blobs_of(Span()) != before


@pytest.mark.parametrize("ends_first", [0, 1])
def test_data_are_kept_in_whatever_order_tasks_are_packed_and_end(ends_first: int) -> None:
    hashes, data = Hashes(), np.zeros(LEAST)
    spans = [Span(), Span()]
    for span in reversed(spans):  # as by several threads
        pack_task(Task(print, (data,)), "it", hashes, span)
    spans[ends_first].end()
    (before,) = names(np.zeros(LEAST))
    data[7] = 1
    assert {blob.name for blob in pack_task(Task(print, (data,)), "it", hashes, Span()).blobs} == {before}


def test_a_watchful_cache_finds_changes_itself() -> None:
    rng = np.random.default_rng(0)
    data = rng.integers(0, 9, LEAST)
    hashes, span, names = Hashes(watchful=True), Span(), []
    changes: list[Callable[[], object]] = [
        lambda: None,
        lambda: data.__setitem__(slice(3, 5), data[3:5] + 1),
        lambda: rng.shuffle(data),
        lambda: data.__setitem__(slice(None), data[::-1].copy()),
        lambda: data.__setitem__(-1, 99),
        lambda: data.__setitem__(slice(None), np.roll(data, 512)),
    ]
    for change in changes:
        change()
        (blob,) = pack_task(Task(print, (data,)), "it", hashes, span).blobs
        assert blob.name == sha(data)
        names.append(blob.name)
    assert len(set(names)) == len(changes)
    odd = memoryview(bytes(LEAST + 3))
    assert hashes.blob(odd, span).name == hashes.blob(odd, span).name == sha(odd)


def test_views_that_begin_alike_are_told_apart() -> None:
    data = np.arange(6 * LEAST)
    views = [data[::2][:LEAST], data[::3][:LEAST], data[::2][: LEAST + 1]]
    assert names(*views) == {sha(view.tobytes()) for view in views}
    texts = np.array(TEXTS, dtype=object)
    assert len(names(texts, texts[::2], texts.reshape(2, -1), texts[:500], hashes=Hashes())) == 4


def test_text_is_pickled_once() -> None:
    hashes = Hashes()
    first, second = (pack_task(Task(print, (TEXTS, i)), "it", hashes).blobs for i in range(2))
    assert first[0].data.obj is second[0].data.obj


def test_a_list_that_only_looks_like_text_is_none_and_stays_none() -> None:
    hashes = Hashes()
    odd = [*TEXTS[:501], {"not": "text"}, *TEXTS[501:]]
    for _ in range(2):
        assert not pack_task(Task(print, (odd,)), "it", hashes).blobs


# --- what the cache keeps alive


def test_the_cache_keeps_no_array_alive() -> None:
    hashes = Hashes()
    held = np.zeros(LEAST)
    name = names(held[1:], held.reshape(2, -1)[:, ::2], hashes=hashes)
    assert len(name) == 2
    watch = weakref.ref(held)
    del held
    assert watch() is None


def test_an_address_that_is_used_again_is_hashed_again() -> None:
    hashes = Hashes()
    addresses = set()
    for i in range(20):
        data = np.full(LEAST, i, np.uint8)
        addresses.add(data.ctypes.data)
        assert names(data, hashes=hashes) == {sha(data)}
        del data
    assert len(addresses) < 20, "no address was used again: the test shows nothing"
    for i in range(20):
        text = [f"text {i} " * 100] * 1000
        assert names(text, hashes=hashes) == names(text)
        del text


def test_what_cannot_be_watched_is_held_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "_MOST_HELD", 25_000)
    hashes = Hashes()
    watches = []
    for i in range(4):
        data = array.array("b", bytes([i]) * 10_000)
        watches.append(weakref.ref(data))
        assert hashes.blob(data).name == sha(data)
        del data
    assert [watch() is None for watch in watches] == [True, True, False, False]
    hashes.blob(watches[2]())  # type: ignore[arg-type]
    hashes.blob(array.array("b", bytes(10_000)))
    assert [watch() is None for watch in watches] == [True, True, False, True]
    large = array.array("b", bytes(30_000))
    assert hashes.blob(large).name == sha(large)
    large[0] = 1
    assert hashes.blob(large).name != sha(large), "the last is held however large it is"
    hashes.clear()
    assert [watch() is None for watch in watches] == [True] * 4


def test_threads_may_share_it() -> None:
    hashes = Hashes()
    shared = np.arange(1 << 20)

    def work(i: int) -> bool:
        own = np.full(LEAST, i)
        return all(names(shared, own, TEXTS, hashes=hashes) == {sha(shared), sha(own), *names(TEXTS)} for _ in range(3))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(32)))


# --- the folder


def test_a_blob_is_a_file_of_its_bytes(tmp_path: Path) -> None:
    name = sha(b"some data")
    write(tmp_path, name, iter([b"some", bytearray(b" "), memoryview(b"data")]))
    assert (tmp_path / name).read_bytes() == b"some data"
    assert os.listdir(tmp_path) == [name]


def test_a_file_appears_whole(tmp_path: Path) -> None:
    name = sha(b"some data")

    def chunks() -> Iterator[bytes]:
        yield b"some "
        assert not (tmp_path / name).exists()
        yield b"data"
        assert not (tmp_path / name).exists()

    write(tmp_path, name, chunks())
    assert (tmp_path / name).exists()


@pytest.mark.parametrize("chunks", [[b"some dat"], [b"some data", b"!"], [b"Some data"], []])
def test_damaged_data_are_refused(tmp_path: Path, chunks: list[bytes]) -> None:
    with pytest.raises(ValueError, match=f"damaged: expected {sha(b'some data')}, got .* ship them again"):
        write(tmp_path, sha(b"some data"), chunks)
    assert not os.listdir(tmp_path)


def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    with pytest.raises(ValueError, match="damaged"):
        write(tmp_path / "store", "../elsewhere", [b"data"])
    assert os.listdir(tmp_path) == ["store"]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write(tmp_path, sha(bytes(1 << 20)), [bytes(1 << 20)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not os.listdir(tmp_path)
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "nowhere", sha(b""), [])


def test_several_may_write_the_same(tmp_path: Path) -> None:
    data = os.urandom(1 << 20)
    start = threading.Barrier(8)

    def work(_: int) -> None:
        start.wait()
        for _ in range(5):
            write(tmp_path, sha(data), [data])
            assert len((tmp_path / sha(data)).read_bytes()) == len(data)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert os.listdir(tmp_path) == [sha(data)]


def layout_of(*data: bytes) -> Layout:
    found = [sha(each) for each in data]
    return Layout((None, *found), (found[-1],), {name: len(each) for name, each in zip(found, data, strict=True)})


def test_a_layout_travels() -> None:
    layout = layout_of(b"one", b"three")
    assert Layout.of([layout.to_bytes()]) == Layout.of([bytearray(layout.to_bytes())]) == layout
    assert Layout.of([memoryview(pickle.dumps(layout, protocol=5))]) is None


def test_what_is_missing_is_listed(tmp_path: Path) -> None:
    packed = [layout_of(b"one", b"three", b"five").to_bytes(), b"head"]
    assert missing(packed, tmp_path) == missing(packed, str(tmp_path)) == [sha(b"one"), sha(b"three"), sha(b"five")]
    put(tmp_path, b"three")
    (tmp_path / sha(b"five")).write_bytes(b"fiv")  # torn
    assert missing(packed, tmp_path) == [sha(b"one"), sha(b"five")]
    put(tmp_path, b"five")
    assert missing(packed, tmp_path) == [sha(b"one")]
    put(tmp_path, b"one")
    assert missing(packed, tmp_path) == []
    assert missing([b"\x80\x05N."], tmp_path) == []


@pytest.mark.parametrize("torn", [b"", b"thre", b"three!"])
def test_missing_and_torn_data_are_named(tmp_path: Path, torn: bytes) -> None:
    put(tmp_path, b"one")
    (tmp_path / sha(b"three")).write_bytes(torn)
    with pytest.raises(MissingDataError, match=f"{sha(b'three')[:12]}.*{tmp_path}.* ship them again") as caught:
        open_blobs(layout_of(b"one", b"three", b"five", b"three"), str(tmp_path))
    assert caught.value.names == (sha(b"three"), sha(b"five"))
    with pytest.raises(MissingDataError, match="no store; set FFNN_STORE") as caught:
        open_blobs(layout_of(b"one"), None)
    assert caught.value.names == (sha(b"one"),)


def test_the_error_travels() -> None:
    error = MissingDataError(["a" * 64], "/a/folder")
    back = pickle.loads(pickle.dumps(error))
    assert isinstance(back, ExecutorError)
    assert (back.names, back.folder, str(back)) == (error.names, error.folder, str(error))


def test_each_mapping_is_its_own(tmp_path: Path) -> None:
    name = put(tmp_path, b"some data")
    layout = Layout((name, None, name), (name,), {name: 9})
    (one, between, two), (three,) = open_blobs(layout, str(tmp_path))
    assert between is None
    assert one is not None
    one[:4] = b"SOME"
    assert [bytes(each) for each in (one, two, three) if each] == [b"SOME data", b"some data", b"some data"]
    assert (tmp_path / name).read_bytes() == b"some data"


def test_many_blobs_do_not_use_up_the_descriptors(tmp_path: Path) -> None:
    name = put(tmp_path, b"some data")
    before = len(os.listdir("/proc/self/fd"))
    many, _ = open_blobs(Layout((name,) * 1000, (), {name: 9}), str(tmp_path))
    assert len(os.listdir("/proc/self/fd")) - before <= 256
    assert {type(each) for each in many} == {mmap.mmap, bytearray}
    assert {bytes(each) for each in many if each} == {b"some data"}
