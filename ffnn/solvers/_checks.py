"""Checks and arithmetic that several solvers share."""

from __future__ import annotations

from typing import Any

import numpy as np

from ffnn._utils.checks import check_number, check_part
from ffnn.solver import Solver

__all__ = ["check_epsilon", "check_kept", "one_minus"]


def check_kept(solver: Solver, *names: str) -> None:
    """Refuse a share of the past that is not in [0, 1).

    Raises
    ------
    TypeError, ValueError
        That name the solver's parameter.
    """
    for name in names:
        label = f"{type(solver).__name__}.{name}"
        check_part(label, getattr(solver, name), "It is the share of the past that is kept.")


def check_epsilon(solver: Any) -> None:
    remedy = "It keeps a division from blowing up; 1e-7 is usual."
    check_number(f"{type(solver).__name__}.epsilon", solver.epsilon, remedy, positive=True)


def one_minus(share: float, dtype: str) -> float:
    """Return 1 - share as the engines' fused kernels compute it: in the weights' dtype.

    In float32, 1 - 0.999 is 5e-5 off 0.001. One builder that used the one and another that used the other would drift.
    """
    kind = np.dtype(dtype).type
    return float(kind(1) - kind(share))
