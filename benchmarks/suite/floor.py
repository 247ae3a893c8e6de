"""The floor of a fit: what the hardware needs for it, whoever writes the loop.

Three parts a step, each measured in the best way that NumPy, SciPy or TensorFlow offers here: making the rows of a
batch dense, the matrix products, and the bytes that Adam must move (four arrays read, three written) at the speed of a
copy in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

from benchmarks.suite.stopwatch import median_seconds

BATCH = 64


def dense_rows_seconds(X: Any, repeats: int) -> float:
    """Return the seconds in which rows of a CSR matrix become a dense batch."""
    import numpy as np

    batches = [np.random.default_rng(0).permutation(X.shape[0])[:BATCH] for _ in range(2)]
    buffer = np.zeros((BATCH, X.shape[1]), X.dtype)
    flat = buffer.ravel()
    indptr, indices, values = X.indptr, X.indices, X.data

    def rows_of_a_kept_buffer() -> None:
        for rows in batches:
            buffer.fill(0)
            for i, row in enumerate(rows):
                stored = slice(indptr[row], indptr[row + 1])
                buffer[i, indices[stored]] = values[stored]

    def flat_scatter() -> None:
        for rows in batches:
            batch = X[rows]
            at = np.repeat(np.arange(len(rows)) * X.shape[1], np.diff(batch.indptr)) + batch.indices
            flat.fill(0)
            flat[at] = batch.data

    def by_scipy() -> None:
        for rows in batches:
            X[rows].toarray(out=buffer)

    ways: list[Callable[[], None]] = [rows_of_a_kept_buffer, flat_scatter, by_scipy]
    return min(median_seconds(way, repeats) for way in ways) / len(batches)


def gemm_seconds(n_rows: int, n_inner: int, n_columns: int, repeats: int) -> float:
    """Return the seconds of a product of matrices ``(n_rows, n_inner)`` and ``(n_inner, n_columns)``.

    Each factor is tried as it stands and transposed in memory, on NumPy's BLAS and on TensorFlow.
    """
    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(0)
    a = rng.random((n_rows, n_inner), np.float32)
    b = rng.random((n_inner, n_columns), np.float32)
    out = np.empty((n_rows, n_columns), np.float32)
    best = np.inf
    for turned_a in (False, True):
        for turned_b in (False, True):
            left = np.ascontiguousarray(a.T).T if turned_a else a
            right = np.ascontiguousarray(b.T).T if turned_b else b
            best = min(best, median_seconds(lambda left=left, right=right: np.matmul(left, right, out=out), repeats))
            stored = [tf.constant(x.T if turned else x) for x, turned in ((left, turned_a), (right, turned_b))]
            product = tf.function(
                lambda x, y, ta=turned_a, tb=turned_b: tf.matmul(x, y, transpose_a=ta, transpose_b=tb)
            )
            best = min(best, median_seconds(lambda p=product, s=stored: p(*s), repeats))
    return best


def copy_bandwidth(repeats: int) -> float:
    """Return the bytes a second, read and written, of a copy by all cores."""
    import numpy as np

    n_threads = len(os.sched_getaffinity(0))
    source, target = np.ones(32_000_000, np.float32), np.zeros(32_000_000, np.float32)
    parts = list(zip(np.array_split(target, n_threads), np.array_split(source, n_threads), strict=True))
    with ThreadPoolExecutor(n_threads) as pool:
        best = min(
            median_seconds(lambda: np.copyto(target, source), repeats),
            median_seconds(lambda: list(pool.map(lambda part: np.copyto(*part), parts)), repeats),
        )
    return 2 * source.nbytes / best


def floor(X: Any, hidden: Sequence[int], epochs: int, repeats: int) -> tuple[float, dict[str, float]]:
    """Return the seconds of a fit at the hardware's limit, and the milliseconds of the parts of a step."""
    widths = [X.shape[1], *hidden, 1]
    gemm = 0.0
    for layer, (n_inputs, n_outputs) in enumerate(pairwise(widths)):
        gemm += gemm_seconds(BATCH, n_inputs, n_outputs, repeats)  # forward
        gemm += gemm_seconds(n_inputs, BATCH, n_outputs, repeats)  # the gradient of the kernel
        if layer:
            gemm += gemm_seconds(BATCH, n_outputs, n_inputs, repeats)  # the gradient of what came in
    dense = dense_rows_seconds(X, repeats)
    n_parameters = sum(a * b + b for a, b in pairwise(widths))
    bandwidth = copy_bandwidth(repeats)
    adam = 7 * 4 * n_parameters / bandwidth
    # the last batch of an epoch has fewer rows; Adam's work does not
    seconds = epochs * (X.shape[0] / BATCH * (dense + gemm) + -(-X.shape[0] // BATCH) * adam)
    parts = {"rows made dense ms": 1e3 * dense, "GEMMs ms": 1e3 * gemm, "Adam ms": 1e3 * adam}
    return seconds, parts | {"copy GB/s": bandwidth / 1e9}
