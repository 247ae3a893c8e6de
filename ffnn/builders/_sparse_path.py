"""Chooses how a batch of sparse rows is multiplied with the first weights.

- ``dense``: the rows of a batch are made dense.
- ``stored``: the engine's operations multiply the stored entries, and the solver updates only the rows of the weights
  that the batch touches.
- ``kernel``: a compiled kernel does the same in one pass; see :mod:`ffnn.kernels.sparse_adam`.

The choice depends on the data's statistics alone, and is part of the program's key.
"""

from __future__ import annotations

import numpy as np

from ffnn.input import Input, SparseStatistics

__all__ = ["paths_for"]

#: From this number of features on, a path other than ``dense`` may be chosen.
WIDE = 10_000
#: The cost of a step on two cores, in nanoseconds per unit of the first layer: for each value of the dense batch, for
#: each stored entry, for each feature with an entry in the batch, and for each feature.
COSTS = {
    "dense": (0.021, 0.0, 0.0, 0.8),
    "stored": (0.0, 2.8, 10.0, 0.0),
    "kernel": (0.0, 0.045, 0.8, 0.0),
}
#: The bytes of a batch, for each value of the dense batch and for each stored entry; and the size up to which memory
#: does not matter.
BYTES = {"dense": (8, 0), "stored": (0, 100), "kernel": (0, 50)}
SMALL_BATCH = 2**28


def paths_for(input: Input, n_features: int) -> tuple[str, ...]:
    """Return the paths for an input, the best first; a program takes the first that is possible.

    Parameters
    ----------
    input : Input
        The fitted input.
    n_features : int
        The number of features.
    """
    if not input.sparse or input.batches == "dense":
        return ("dense",)
    if input.batches == "stored":
        return ("kernel", "stored", "dense")
    statistics = input.statistics_
    return ("dense",) if statistics is None or n_features < WIDE else _by_cost(statistics, n_features)


def _by_cost(statistics: SparseStatistics, n_features: int) -> tuple[str, ...]:
    """Return the paths by the expected cost of a step; those that take much memory last."""
    dense, stored = statistics.batch_size * n_features, statistics.batch_size * statistics.stored_per_row
    counts = (dense, stored, statistics.features_met, n_features)
    cost = {path: float(np.dot(costs, counts)) for path, costs in COSTS.items()}
    size = {path: float(np.dot(each, (dense, stored))) for path, each in BYTES.items()}
    heavy = {path: size[path] > max(size["dense"], SMALL_BATCH) for path in COSTS}
    return tuple(sorted(COSTS, key=lambda path: (heavy[path], cost[path])))
