"""The ``adagrad`` solver."""

from __future__ import annotations

from collections.abc import Mapping

from ffnn._utils.checks import check_number
from ffnn.lazy_rows import LazyRows
from ffnn.ops import Ops, Tensor
from ffnn.solver import StochasticSolver
from ffnn.solvers._checks import check_epsilon

__all__ = ["Adagrad"]


class Adagrad(StochasticSolver):
    """Adagrad: scales steps by the sum of all squared gradients.

    J. Duchi, E. Hazan and Y. Singer (2011), "Adaptive subgradient methods for online learning", JMLR 12.

    Parameters
    ----------
    initial_sum : float
        The initial value of the sum of squares.
    epsilon : float
        Added to the root of the sum.
    clip_norm : float, optional
        The largest norm of a step's gradient over all weights; a larger gradient is scaled down. None for no bound.
    clip_value : float, optional
        The largest absolute value of an entry of the gradient, an alternative to ``clip_norm``. None for no bound.
    """

    elementwise = True

    def __init__(
        self,
        initial_sum: float = 0.1,
        epsilon: float = 1e-7,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        self.initial_sum = initial_sum
        self.epsilon = epsilon
        self.clip_norm = clip_norm
        self.clip_value = clip_value

    def check(self) -> None:
        super().check()
        check_number("Adagrad.initial_sum", self.initial_sum, "It is the initial sum of squares; 0.1 is usual.")
        check_epsilon(self)

    @property
    def slots(self) -> Mapping[str, float]:
        return {"square": float(self.initial_sum)}

    def update(
        self, ops: Ops, weight: Tensor, gradient: Tensor, slots: Mapping[str, Tensor], step_size: Tensor, dtype: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        square = slots["square"] + ops.square(gradient)
        return weight - step_size * gradient / (ops.sqrt(square) + self.epsilon), {"square": square}

    def lazy_rows(self) -> LazyRows | None:
        return LazyRows({"square": 1.0})
