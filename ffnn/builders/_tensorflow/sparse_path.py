"""The choice of the path by which a batch of sparse rows meets the first weights.

- ``dense``: the rows of a batch are made dense.
- ``stored``: products go entry by entry, by TensorFlow's operations, and the solver steps in the rows of the weights
  that the batch meets.
- ``kernel``: a compiled kernel does the same in one pass; see :mod:`ffnn.kernels.sparse_adam`.

The choice is a function of the data's statistics alone, and part of the program's key.
"""

from __future__ import annotations

import numpy as np

from ffnn.input import Input, SparseStatistics

__all__ = ["paths_for"]

#: From this number of features on, a path other than ``dense`` may be chosen.
WIDE = 10_000
#: The cost of a step on two cores, in nanoseconds for each unit of the first layer: for each place of the batch, for
#: each stored entry of it, for each feature that it meets, and for each feature.
COSTS = {
    "dense": (0.021, 0.0, 0.0, 0.8),
    "stored": (0.0, 2.8, 10.0, 0.0),
    "kernel": (0.0, 0.045, 0.8, 0.0),
}
#: The bytes of a batch, for each place and for each stored entry; and the bytes that make no difference.
BYTES = {"dense": (8, 0), "stored": (0, 100), "kernel": (0, 50)}
NO_MATTER = 2**28


def paths_for(input: Input, n_features: int) -> tuple[str, ...]:
    """Return the paths to try for an input, the best first; a program takes the first that it can.

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
    places, stored = statistics.batch_size * n_features, statistics.batch_size * statistics.stored_per_row
    counts = (places, stored, statistics.features_met, n_features)
    cost = {path: float(np.dot(costs, counts)) for path, costs in COSTS.items()}
    size = {path: float(np.dot(each, (places, stored))) for path, each in BYTES.items()}
    heavy = {path: size[path] > max(size["dense"], NO_MATTER) for path in COSTS}
    return tuple(sorted(COSTS, key=lambda path: (heavy[path], cost[path])))
