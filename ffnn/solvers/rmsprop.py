"""The ``rmsprop`` solver."""

from __future__ import annotations

from collections.abc import Mapping

from ffnn.lazy_rows import LazyRows
from ffnn.ops import Ops, Tensor
from ffnn.solver import StochasticSolver
from ffnn.solvers._checks import check_decay_rates, check_epsilon, one_minus

__all__ = ["RMSprop"]


class RMSprop(StochasticSolver):
    """RMSprop: scales steps by a running mean of the squared gradient.

    T. Tieleman and G. Hinton (2012), lecture 6.5 of "Neural networks for machine learning".

    Parameters
    ----------
    rho : float
        The decay rate of the running mean, in [0, 1).
    epsilon : float
        Added to the root of the mean square.
    clip_norm : float, optional
        The largest norm of a step's gradient over all weights; a larger gradient is scaled down. None for no bound.
    clip_value : float, optional
        The largest absolute value of an entry of the gradient, an alternative to ``clip_norm``. None for no bound.
    """

    elementwise = True

    def __init__(
        self,
        rho: float = 0.9,
        epsilon: float = 1e-7,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        self.rho = rho
        self.epsilon = epsilon
        self.clip_norm = clip_norm
        self.clip_value = clip_value

    def check(self) -> None:
        super().check()
        check_decay_rates(self, "rho")
        check_epsilon(self)

    @property
    def slots(self) -> Mapping[str, float]:
        return {"square": 0.0}

    def update(
        self, ops: Ops, weight: Tensor, gradient: Tensor, slots: Mapping[str, Tensor], step_size: Tensor, dtype: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        square = slots["square"] + (ops.square(gradient) - slots["square"]) * one_minus(self.rho, dtype)
        return weight - step_size * gradient / (ops.sqrt(square) + self.epsilon), {"square": square}

    def lazy_rows(self) -> LazyRows | None:
        return LazyRows({"square": self.rho})
