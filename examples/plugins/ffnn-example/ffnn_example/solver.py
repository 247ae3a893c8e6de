"""A solver whose steps have one size."""

from __future__ import annotations

from collections.abc import Mapping

from ffnn.ops import Ops, Tensor
from ffnn.solver import StochasticSolver


class SignDescent(StochasticSolver):
    """Moves each weight by the learning rate, against the sign of its gradient."""

    elementwise = True

    def update(
        self, ops: Ops, weight: Tensor, gradient: Tensor, slots: Mapping[str, Tensor], step_size: Tensor, dtype: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weight after a step; there are no slots."""
        return weight - step_size * ops.sign(gradient), {}
