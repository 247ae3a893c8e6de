"""Small files that ask for much memory or time when they are loaded: both stay in proportion to the file's size."""

from __future__ import annotations

import hashlib
import json
import random
import time
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy

import ffnn
from ffnn import MLPClassifier
from ffnn.exceptions import PersistenceError

MIB = 2**20


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    estimator = MLPClassifier(hidden_units=(2,), n_epochs=1, dtype="float32")
    ffnn.save(estimator.fit([[0.0], [1.0]], ["no", "yes"]), path)
    return path


def forge(saved, change):
    """Return a file with other contents and a right digest."""
    data = saved.read_bytes()
    arrays = safetensors.numpy.load(data)
    contents = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["ffnn"])
    change(contents, arrays)
    data = safetensors.numpy.save(arrays, {"ffnn": json.dumps(contents), "sha256": "0" * 64})
    digest = hashlib.sha256(data).hexdigest().encode()
    path = saved.with_name("forged")
    path.write_bytes(data.replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + digest))
    return path


def cost(path):
    """Load a file and return the most memory that this took, the seconds, and the error."""
    error = None
    tracemalloc.start()
    start = time.monotonic()
    try:
        ffnn.load(path)
    except PersistenceError as caught:
        error = caught
    seconds, peak = time.monotonic() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, seconds, error


def texts(n_items, width):
    return {"is": "list array", "dtype": f"<U{width}", "shape": [n_items], "items": ["x"] * n_items}


def put(**values):
    return lambda contents, arrays: contents["attributes"].update(values)


def many_text_arrays(contents, arrays):
    for n in range(12):
        contents["attributes"][f"x{n}_"] = texts(1000, 250_000)  # a gigabyte each


def many_small_text_arrays(contents, arrays):
    contents["attributes"]["x_"] = [texts(1, 25_000) for _ in range(10_000)]


def one_array_many_times(contents, arrays):
    arrays["big"] = np.zeros(2**17, ">f8")
    contents["attributes"]["x_"] = [{"is": "array", "dtype": ">f8", "name": "big"}] * 1000


def wide_network(contents, arrays):
    width = 2**31
    for stage, widths in zip(contents["fitted"]["stages"][-3:], ([1, width], [width, width], [width, 1]), strict=True):
        stage["widths"] = widths
    contents["fitted"]["stages"][-3]["layer"]["parameters"]["units"] = width
    contents["fitted"]["weights"].pop("hidden1.affine.weight")  # a builder may have no weight of that name


HOSTILE = {
    "many arrays of wide texts": many_text_arrays,
    "very many arrays of texts": many_small_text_arrays,
    "texts within lists": put(x_=[[texts(900, 250_000)]]),
    "a text as a scalar": put(x_=[{"is": "scalar", "of": {**texts(1, 2**26), "shape": []}} for _ in range(40)]),
    "texts as items of texts": put(x_={**texts(1, 1), "items": [texts(10, 2**24)]}),
    "one array many times": one_array_many_times,
    "a wide layer without weights": wide_network,
    "a type of many fields": put(x_={"is": "dtype", "name": "i4," * 100_000 + "i4", "type": False}),
    "a type of many bytes": put(x_=[{"is": "scalar", "of": {"is": "array", "dtype": f"V{2**31 - 1}", "name": "x"}}]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_small_file_takes_little_memory_and_time(name, saved):
    path = forge(saved, HOSTILE[name])
    peak, seconds, error = cost(path)
    assert error is not None
    assert peak < 32 * MIB + 60 * path.stat().st_size
    assert seconds < 10


def test_numbers_that_collide_in_a_dictionary_are_refused(saved):
    items = [[n * (2**61 - 1), 0] for n in range(20_000)]
    path = forge(saved, put(x_={"is": "dict", "items": items}))
    _, seconds, error = cost(path)
    assert "keys" in str(error)
    assert seconds < 5


def test_a_dictionary_of_many_plain_keys_is_read(saved):
    items = [[n, 0] for n in range(-2000, 2000)] + [[n + 0.5, 0] for n in range(2000)]
    loaded = ffnn.load(forge(saved, put(x_={"is": "dict", "items": items})))
    assert len(loaded.x_) == len(items)


def test_random_nests_of_arrays_stay_in_proportion(saved):
    draw = random.Random(0)

    def value(depth):
        kind = draw.choice(["texts", "list", "tuple", "array", "scalar", "dict"] if depth else ["texts"])
        if kind == "texts":
            return texts(draw.choice([0, 1, 10, 300]), draw.choice([0, 1, 1000, 10**6, 2**29 - 1]))
        if kind in ("list", "tuple"):
            items = [value(depth - 1) for _ in range(draw.randint(0, 6))]
            return items if kind == "list" else {"is": "tuple", "items": items}
        if kind == "dict":
            return {"is": "dict", "items": [[n, value(depth - 1)] for n in range(draw.randint(0, 6))]}
        array = {"is": "array", "dtype": draw.choice(["<f4", ">f4", "<U4"]), "name": "weights/hidden1.affine.weight"}
        return array if kind == "array" else {"is": "scalar", "of": draw.choice([array, value(0)])}

    for _ in range(30):
        path = forge(saved, put(x_=[value(4) for _ in range(20)]))
        peak, seconds, _ = cost(path)
        assert peak < 32 * MIB + 60 * path.stat().st_size
        assert seconds < 10


@pytest.mark.parametrize(("n_short", "width"), [(3, 5), (1000, 50), (1000, 20_000), (20, 500_000)])
def test_labels_of_any_width_come_back(n_short, width, tmp_path):
    labels = np.array([f"{n}ä" for n in range(n_short)] + ["w" * width, ""])
    estimator = MLPClassifier(class_weight=None)
    estimator.classes_ = labels
    estimator.column_ = labels.astype(f">U{width}").reshape(-1, 1)
    ffnn.save(estimator, tmp_path / "model")
    loaded = ffnn.load(tmp_path / "model")
    for name in ("classes_", "column_"):
        expected, found = getattr(estimator, name), getattr(loaded, name)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(found, expected)
