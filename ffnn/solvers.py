"""The solvers that train by batches: SGD, and those of :mod:`ffnn.adaptive`; and all solvers by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ffnn.adaptive import Adagrad, Adam, AdamW, RMSprop, check_kept
from ffnn.idling import Idling
from ffnn.lbfgs import LBFGS
from ffnn.ops import Ops, Tensor
from ffnn.parameters import check_flag, unknown_name
from ffnn.solver import Solver, StochasticSolver

__all__ = ["LBFGS", "SGD", "SOLVERS", "Adagrad", "Adam", "AdamW", "RMSprop", "resolve_solver"]


class SGD(StochasticSolver):
    """Stochastic gradient descent, with momentum where asked for.

    Parameters
    ----------
    momentum : float
        The share of the last step that the next one keeps, in [0, 1).
    nesterov : bool
        Whether the momentum looks ahead (Y. Nesterov, 1983; in the form of I. Sutskever et al., 2013).
    clip_norm : float, optional
        The largest norm of a step's gradient, over all weights together; a larger one is scaled down. None is no bound.
    clip_value : float, optional
        The largest absolute value of an entry of the gradient, instead; larger ones are cut.
    """

    def __init__(
        self,
        momentum: float = 0.9,
        nesterov: bool = True,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        self.momentum = momentum
        self.nesterov = nesterov
        self.clip_norm = clip_norm
        self.clip_value = clip_value

    def check(self) -> None:
        super().check()
        check_kept(self, "momentum")
        check_flag("SGD.nesterov", self.nesterov)

    @property
    def slots(self) -> Mapping[str, float]:
        return {"velocity": 0.0} if self.momentum else {}

    def update(
        self, ops: Ops, weight: Tensor, gradient: Tensor, slots: Mapping[str, Tensor], step_size: Tensor, dtype: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        step = step_size * gradient
        if not self.momentum:
            return weight - step, {}
        velocity = self.momentum * slots["velocity"] - step
        return weight + (self.momentum * velocity - step if self.nesterov else velocity), {"velocity": velocity}

    def idling(self) -> Idling | None:
        if not self.momentum:
            return Idling({})
        idling = Idling({"velocity": self.momentum}, (self.momentum,), self._directions, by_step_size=False)
        return idling if idling.ends else None

    def _directions(self, ops: Ops, slots: Mapping[str, Tensor]) -> list[Tensor]:
        return [slots["velocity"] * (self.momentum if self.nesterov else 1.0)]


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
