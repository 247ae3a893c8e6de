"""The solver ``$name``."""

from __future__ import annotations

from collections.abc import Mapping

from ffnn.ops import Ops, Tensor
from ffnn.solver import StochasticSolver


class $cls(StochasticSolver):
    """Moves each weight by the learning rate, against the sign of a running mean of its gradient.

    Parameters
    ----------
    beta : float, default=0.9
        The part of the mean that is kept from step to step.
    """

    elementwise = True

    def __init__(self, beta: float = 0.9) -> None:
        self.beta = beta

    @property
    def slots(self) -> Mapping[str, float]:
        """The arrays that are kept for each weight, and the value that they begin with."""
        return {"mean": 0.0}

    def update(
        self, ops: Ops, weight: Tensor, gradient: Tensor, slots: Mapping[str, Tensor], step_size: Tensor, dtype: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weight and the slots after a step, on any engine."""
        mean = self.beta * slots["mean"] + (1.0 - self.beta) * gradient
        return weight - step_size * ops.sign(mean), {"mean": mean}
