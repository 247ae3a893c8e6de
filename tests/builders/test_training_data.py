"""Data on its way to TensorFlow, which may read the user's own memory: it must never write there, nor keep it."""

from __future__ import annotations

import errno
import threading
from collections.abc import Sequence

import numpy as np
import pytest
import scipy.sparse

from ffnn import MLPClassifier
from ffnn.builders._tensorflow.data.training_data import _read_ahead
from ffnn_plugins.inputs.dense import DenseInput


def aligned(shape: tuple[int, int]) -> np.ndarray:
    """Return random numbers in memory that TensorFlow can take as it is."""
    n_bytes = 4 * shape[0] * shape[1]
    memory = np.empty(n_bytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    array = memory[start : start + n_bytes].view(np.float32).reshape(shape)
    array[:] = np.random.default_rng(0).normal(size=shape)
    return array


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("resident", [True, False], ids=["resident", "streamed"])
# with an activation first, whose result has the shape of what it is of
@pytest.mark.parametrize("block", [("affine", "activation"), ("activation", "affine")], ids="-".join)
def test_the_users_memory_is_read_alone(
    block: tuple[str, ...], resident: bool, sparse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not resident:
        monkeypatch.setattr("ffnn.builders._tensorflow.data.training_data.RESIDENT", 0)
        monkeypatch.setattr("ffnn.builders._tensorflow.data.training_data.PIECE", 2**12)
    X = aligned((256, 32))
    before = X.copy()
    y = (X[:, 0] > 0).astype(int)
    given = scipy.sparse.csr_array(X) if sparse else X
    mlp = MLPClassifier((8,), block=block, n_epochs=3, batch_size=64, builder="tf", dtype="float32", random_state=0)
    mlp.fit(given, y)
    scores = mlp.predict_proba(given)
    np.testing.assert_array_equal(given.toarray() if sparse else given, before)

    weights = [array.copy() for array in mlp.coefs_]
    held = scores.copy()
    (given.data if sparse else given)[:] = 7
    np.testing.assert_array_equal(scores, held)
    for array, old in zip(mlp.coefs_, weights, strict=True):
        np.testing.assert_array_equal(array, old)
    again = mlp.predict_proba(scipy.sparse.csr_array(before) if sparse else before)
    np.testing.assert_array_equal(again, scores)


@pytest.mark.parametrize("block", [("affine", "activation"), ("activation", "affine")], ids="-".join)
def test_memory_that_tensorflow_cannot_take_comes_a_piece_at_a_time(
    block: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    X = aligned((1000, 36))
    y = (X[:, 0] > 0).astype(int)
    mlp = MLPClassifier((8,), block=block, n_epochs=3, builder="tf", dtype="float32", random_state=0).fit(X, y)
    scores, hidden = mlp.decision_function(X), mlp.transform(X)

    other = aligned((1001, 36)).reshape(-1)[1:-35].reshape(1000, 36)
    other[:] = X
    assert other.ctypes.data % 64 == 4
    monkeypatch.setattr("ffnn.builders._tensorflow.model.PIECE", 64 * 36 * 4)
    np.testing.assert_array_equal(mlp.decision_function(other), scores)
    np.testing.assert_array_equal(mlp.transform(other), hidden)
    np.testing.assert_array_equal(other, X)


def test_the_next_part_is_read_while_one_is_used() -> None:
    read = [threading.Event() for _ in range(4)]

    def function(item: int) -> int:
        read[item].set()
        return 10 * item

    found = []
    for value in _read_ahead(function, range(4)):
        found.append(value)
        if len(found) < 4:
            assert read[len(found)].wait(60)
        assert not any(event.is_set() for event in read[len(found) + 1 :])  # and no more of them than that
    assert found == [0, 10, 20, 30]
    assert list(_read_ahead(function, [])) == []
    assert list(_read_ahead(function, [3])) == [30]


class Failing(DenseInput):
    """Reads from a disk that gives up."""

    n_left = 5

    def take(self, arrays: Sequence[np.ndarray], rows: np.ndarray) -> tuple[np.ndarray, ...]:
        type(self).n_left -= 1
        if self.n_left < 0:
            raise OSError(errno.EIO, "the disk gave up")
        return super().take(arrays, rows)


def test_a_part_that_cannot_be_read_ends_the_fit_and_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ffnn.builders._tensorflow.data.training_data.RESIDENT", 0)
    monkeypatch.setattr("ffnn.builders._tensorflow.data.training_data.PIECE", 2**12)
    X = aligned((256, 32))
    mlp = MLPClassifier((8,), batch_size=64, builder="tf", input_layer=Failing(), dtype="float32")
    with pytest.raises(OSError, match="the disk gave up"):
        mlp.fit(X, (X[:, 0] > 0).astype(int))
    assert not hasattr(mlp, "n_iter_")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ffnn-reader")]
