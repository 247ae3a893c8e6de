"""The schedule :class:`CosLog`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ffnn._utils.checks import check_integer
from ffnn.model import Array
from ffnn.schedule import Schedule

__all__ = ["CosLog"]


class CosLog(Schedule):
    """Cycles from 0 up to ``maximum`` and back, each cycle about twice as long as the previous one.

    D. Holzmüller, L. Grinsztajn and I. Steinwart (2024), "Better by default: strong pre-tuned MLPs and boosted trees on
    tabular data", NeurIPS, arXiv 2407.04491: coslog_k.

    Parameters
    ----------
    maximum : float, default=1e-2
        The highest rate.
    n_cycles : int, default=4
        The number of cycles.
    """

    def __init__(self, maximum: float = 1e-2, n_cycles: int = 4) -> None:
        self.maximum = maximum
        self.n_cycles = n_cycles

    def _check(self, parameter: str, name: str, value: Any) -> None:
        if parameter == "n_cycles":
            check_integer(name, value, "It is the number of times the rate rises and falls; 4 is usual.", most=50)
        else:
            super()._check(parameter, name, value)

    def rates(self, steps: Array, times: Array, horizon: float) -> Array:
        share = np.minimum(times / horizon, 1.0)
        phase = np.log2(1 + (2 ** int(self.n_cycles) - 1) * share)
        return np.asarray(self.maximum * (1 - np.cos(2 * np.pi * phase)) / 2)
