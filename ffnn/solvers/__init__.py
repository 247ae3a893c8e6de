"""The solvers that come with ffnn, one a module."""

from __future__ import annotations

from typing import Any

from ffnn._utils.checks import unknown_name
from ffnn.solver import Solver
from ffnn.solvers.adagrad import Adagrad
from ffnn.solvers.adam import Adam
from ffnn.solvers.adamw import AdamW
from ffnn.solvers.lbfgs import LBFGS
from ffnn.solvers.rmsprop import RMSprop
from ffnn.solvers.sgd import SGD

__all__ = ["LBFGS", "SGD", "SOLVERS", "Adagrad", "Adam", "AdamW", "RMSprop", "resolve_solver"]

#: The solvers by the names that the parameter ``solver`` takes.
SOLVERS: dict[str, type[Solver]] = {
    "adam": Adam,
    "adamw": AdamW,
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "lbfgs": LBFGS,
}


def resolve_solver(value: Any) -> Solver:
    """Return the solver that the parameter ``solver`` names, or is.

    Raises
    ------
    TypeError
        If it is neither a name nor a solver.
    ValueError
        If the name is unknown, or one of the solver's own parameters is out of range.
    """
    if isinstance(value, str):
        if value not in SOLVERS:
            raise unknown_name("solver", value, SOLVERS, "a solver object such as ffnn.Adam(beta_1=0.8)")
        return SOLVERS[value]()
    if not isinstance(value, Solver):
        raise TypeError(
            f"solver={value!r}: expected one of {', '.join(SOLVERS)}, or a solver object such as "
            f"ffnn.Adam(beta_1=0.8); got {type(value).__name__}."
        )
    value.check()
    return value
