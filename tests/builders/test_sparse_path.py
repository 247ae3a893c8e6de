"""The path by which a batch of sparse rows meets the first weights."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.sparse

pytest.importorskip("tensorflow")

from ffnn import MLPClassifier
from ffnn.builders._sparse_path import paths_for
from ffnn.builders._tensorflow.program import program_key
from ffnn.solvers import Adam
from ffnn_plugins.inputs.sparse import SparseInput


def paths(X, batch_size, batches="auto"):
    return paths_for(SparseInput(batches).fit(X, batch_size), X.shape[1])


def wide(n_rows=400, n_features=20_000, n_stored=5):
    return scipy.sparse.random(n_rows, n_features, n_stored / n_features, format="csr", random_state=0)


@pytest.mark.parametrize(
    ("shape", "batch_size", "path"),
    [
        ({}, 64, ("kernel", "stored", "dense")),
        ({}, 10_000, ("kernel", "stored", "dense")),  # all of it meets few features
        ({"n_stored": 2000}, 64, ("kernel", "dense", "stored")),  # a batch meets nearly all
        # a third of them: they are counted
        ({"n_rows": 4000, "n_features": 10_000, "n_stored": 100}, 64, ("kernel", "dense", "stored")),
        ({"n_stored": 12_000}, 64, ("dense", "kernel", "stored")),  # 60 %
        ({"n_features": 2000}, 64, ("dense",)),
    ],
    ids=str,
)
def test_batches_take_the_path_that_is_expected_to_be_fastest(shape, batch_size, path):
    X = wide(**shape)
    assert paths(X, batch_size) == path
    assert paths(X, batch_size, "dense") == ("dense",)
    assert paths(X, batch_size, "stored") == ("kernel", "stored", "dense")


def test_another_way_is_another_program():
    network = MLPClassifier((4,), n_epochs=1).fit(wide(n_rows=8), np.arange(8) % 2).network_
    ways = [dataclasses.replace(network, input=SparseInput(b).fit(wide(), 64)) for b in ("auto", "stored", "dense")]
    keys = [program_key(way.structure(), way, Adam()) for way in ways]
    assert keys[0] == keys[1] != keys[2]


def test_a_path_that_takes_more_memory_than_dense_batches_comes_last(monkeypatch):
    X = wide(n_stored=4000)  # 20 %
    assert paths(X, 64) == ("kernel", "dense", "stored")
    monkeypatch.setattr("ffnn.builders._sparse_path.SMALL_BATCH", 10**6)  # a batch of some hundred megabytes, otherwise
    assert paths(X, 64) == ("dense", "kernel", "stored")
    assert paths(wide(), 64) == ("kernel", "stored", "dense")
