"""The ``adam`` solver."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ffnn.lazy_rows import LazyRows
from ffnn.model import Array
from ffnn.ops import Ops, Tensor
from ffnn.solver import StochasticSolver
from ffnn.solvers._checks import check_decay_rates, check_epsilon, one_minus

__all__ = ["Adam"]


class Adam(StochasticSolver):
    """Adam: scales steps by running means of the gradient and of its square.

    D. P. Kingma and J. Ba (2015), "Adam: a method for stochastic optimization", ICLR; in the form at the end of its
    section 2, which adds ``epsilon`` to the uncorrected root.

    Parameters
    ----------
    beta_1, beta_2 : float
        The decay rates of the two running means, in [0, 1).
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
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.clip_norm = clip_norm
        self.clip_value = clip_value

    def check(self) -> None:
        super().check()
        check_decay_rates(self, "beta_1", "beta_2")
        check_epsilon(self)

    @property
    def slots(self) -> Mapping[str, float]:
        return {"mean": 0.0, "square": 0.0}

    def step_sizes(self, learning_rates: Array, first_step: int) -> Array:
        step = np.arange(first_step + 1, first_step + 1 + len(learning_rates), dtype=np.float64)
        return np.asarray(learning_rates * np.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step))

    def update(
        self, ops: Ops, weight: Tensor, gradient: Tensor, slots: Mapping[str, Tensor], step_size: Tensor, dtype: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        mean = slots["mean"] + (gradient - slots["mean"]) * one_minus(self.beta_1, dtype)
        square = slots["square"] + (ops.square(gradient) - slots["square"]) * one_minus(self.beta_2, dtype)
        weight = weight - step_size * mean / (ops.sqrt(square) + self.epsilon)
        return weight, {"mean": mean, "square": square}

    def lazy_rows(self) -> LazyRows | None:
        if not self.beta_2:
            return None
        ratios = (float(self.beta_1 / np.sqrt(self.beta_2)), self.beta_1)
        lazy_rows = LazyRows(
            {"mean": self.beta_1, "square": self.beta_2}, ratios, self._directions, shrinks=self.decoupled
        )
        return lazy_rows if lazy_rows.ends else None

    def _directions(self, ops: Ops, slots: Mapping[str, Tensor]) -> list[Tensor]:
        # the mean decays from step to step, and so does the divisor except for its epsilon
        root = ops.sqrt(slots["square"])
        share = root / (root + self.epsilon)
        step = -slots["mean"] / (root + self.epsilon)
        return [step * share, step * (1 - share)]
