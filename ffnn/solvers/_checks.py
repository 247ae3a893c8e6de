"""Checks and arithmetic shared by several solvers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ffnn._utils.checks import check_fraction, check_number
from ffnn.solver import Solver

__all__ = ["check_decay_rates", "check_epsilon", "one_minus"]


def check_decay_rates(solver: Solver, *names: str) -> None:
    """Check that parameters of a solver are decay rates in [0, 1).

    Raises
    ------
    TypeError, ValueError
        If one of them is not.
    """
    for name in names:
        label = f"{type(solver).__name__}.{name}"
        check_fraction(label, getattr(solver, name), "It is the fraction of the past that is kept.")


def check_epsilon(solver: Any) -> None:
    remedy = "It prevents a division by zero; 1e-7 is usual."
    check_number(f"{type(solver).__name__}.epsilon", solver.epsilon, remedy, positive=True)


def one_minus(share: float, dtype: str) -> float:
    """Return 1 - share, computed in the dtype of the weights as in the engines' fused kernels.

    In float32, 1 - 0.999 is off by 1e-5 of its value, so builders using different dtypes would drift apart.
    """
    kind = np.dtype(dtype).type
    return float(kind(1) - kind(share))
