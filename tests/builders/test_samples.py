"""Data on its way to TensorFlow, which may read the user's own memory: it must never write there, nor keep it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from ffnn import MLPClassifier
from ffnn.builders import _tensorflow_model, _tensorflow_samples


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
        monkeypatch.setattr(_tensorflow_samples, "RESIDENT", 0)
        monkeypatch.setattr(_tensorflow_samples, "PIECE", 2**12)
    X = aligned((256, 32))
    before = X.copy()
    y = (X[:, 0] > 0).astype(int)
    given = scipy.sparse.csr_array(X) if sparse else X
    mlp = MLPClassifier((8,), block=block, n_epochs=3, batch_size=64, dtype="float32", random_state=0).fit(given, y)
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
    mlp = MLPClassifier((8,), block=block, n_epochs=3, dtype="float32", random_state=0).fit(X, y)
    scores, hidden = mlp.decision_function(X), mlp.transform(X)

    other = aligned((1001, 36)).reshape(-1)[1:-35].reshape(1000, 36)
    other[:] = X
    assert other.ctypes.data % 64 == 4
    monkeypatch.setattr(_tensorflow_model, "PIECE", 64 * 36 * 4)
    np.testing.assert_array_equal(mlp.decision_function(other), scores)
    np.testing.assert_array_equal(mlp.transform(other), hidden)
    np.testing.assert_array_equal(other, X)
