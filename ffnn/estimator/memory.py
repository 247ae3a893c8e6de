"""The check that a network's weights fit into this machine's memory."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ffnn.layer import Weight
from ffnn.parallel.agent.facts import facts

__all__ = ["check_memory"]

#: Weights from which to ask how much memory there is: no machine lacks what fewer take.
LARGE = 2**26


def check_memory(weights: Mapping[str, Weight], dtype: str, description: str) -> None:
    """Refuse a network whose weights alone take more memory than the machine, or its cgroup, has.

    Parameters
    ----------
    weights : mapping of str to Weight
        The weights that are to be drawn.
    dtype : str
        Their dtype.
    description : str
        The parameters that make the network so large, for the message.

    Raises
    ------
    ValueError
        That says how much the weights would take.
    """
    n_values = sum(math.prod(weight.shape) for weight in weights.values())
    if n_values <= LARGE:
        return
    needed, there = n_values * np.dtype(dtype).itemsize, facts()["memory"]
    if needed > there:
        shown = f"{n_values:,}" if n_values < 10**15 else f"{float(n_values):.1e}"
        raise ValueError(
            f"{description} describe a network of {shown} weights, which take {needed / 2**30:.3g} GiB in {dtype}; "
            f"expected at most {there / 2**30:.3g} GiB, the memory of this machine. Use fewer units."
        )
