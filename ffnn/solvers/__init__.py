"""The built-in solvers, one per module."""

from __future__ import annotations

from typing import Any

from ffnn.plugins import registry
from ffnn.solver import Solver
from ffnn.solvers.adagrad import Adagrad
from ffnn.solvers.adam import Adam
from ffnn.solvers.adamw import AdamW
from ffnn.solvers.lbfgs import LBFGS
from ffnn.solvers.rmsprop import RMSprop
from ffnn.solvers.sgd import SGD

__all__ = ["LBFGS", "SGD", "Adagrad", "Adam", "AdamW", "RMSprop", "resolve_solver"]


def resolve_solver(value: Any) -> Solver:
    """Return the solver for the parameter ``solver``, a name or an instance, and check its parameters.

    Raises
    ------
    TypeError
        If it is neither a name nor a solver.
    ValueError
        If the name is unknown, or a parameter of the solver is out of range.
    """
    solver = registry.resolve("solver", value, "solver", Solver)
    solver.check()
    return solver
