"""The solvers that scale each weight's steps by its past gradients: Adam, AdamW, RMSprop, Adagrad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ffnn.idling import Idling
from ffnn.ops import Ops, Tensor
from ffnn.parameters import check_number, check_part
from ffnn.solver import Solver, StochasticSolver

__all__ = ["Adagrad", "Adam", "AdamW", "RMSprop", "check_kept"]

Array = np.ndarray[Any, np.dtype[Any]]


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


def _check_epsilon(solver: Any) -> None:
    remedy = "It keeps a division from blowing up; 1e-7 is usual."
    check_number(f"{type(solver).__name__}.epsilon", solver.epsilon, remedy, positive=True)


def _rest(share: float, dtype: str) -> float:
    """Return 1 - share as the engines' fused kernels compute it: in the weights' dtype.

    In float32, 1 - 0.999 is 5e-5 off 0.001. One builder that used the one and another that used the other would drift.
    """
    kind = np.dtype(dtype).type
    return float(kind(1) - kind(share))


class Adam(StochasticSolver):
    """Adam: steps scaled by running means of the gradient and of its square.

    D. P. Kingma and J. Ba (2015), "Adam: a method for stochastic optimization", ICLR; the form of the remark at the end
    of its section 2, in which ``epsilon`` is added to the uncorrected root.

    Parameters
    ----------
    beta_1, beta_2 : float
        The share of the past that the two running means keep, in [0, 1).
    epsilon : float
        Added to the root of the mean square.
    clip_norm : float, optional
        The largest norm of a step's gradient, over all weights together; a larger one is scaled down. None is no bound.
    clip_value : float, optional
        The largest absolute value of an entry of the gradient, instead; larger ones are cut.
    """

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
        check_kept(self, "beta_1", "beta_2")
        _check_epsilon(self)

    @property
    def slots(self) -> Mapping[str, float]:
        return {"mean": 0.0, "square": 0.0}

    def step_sizes(self, learning_rates: Array, first_step: int) -> Array:
        step = np.arange(first_step + 1, first_step + 1 + len(learning_rates), dtype=np.float64)
        return np.asarray(learning_rates * np.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step))

    def update(
        self, ops: Ops, weight: Tensor, gradient: Tensor, slots: Mapping[str, Tensor], step_size: Tensor, dtype: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        mean = slots["mean"] + (gradient - slots["mean"]) * _rest(self.beta_1, dtype)
        square = slots["square"] + (ops.square(gradient) - slots["square"]) * _rest(self.beta_2, dtype)
        weight = weight - step_size * mean / (ops.sqrt(square) + self.epsilon)
        return weight, {"mean": mean, "square": square}

    def idling(self) -> Idling | None:
        if not self.beta_2:
            return None
        ratios = (float(self.beta_1 / np.sqrt(self.beta_2)), self.beta_1)
        idling = Idling({"mean": self.beta_1, "square": self.beta_2}, ratios, self._directions, shrinks=self.decoupled)
        return idling if idling.ends else None

    def _directions(self, ops: Ops, slots: Mapping[str, Tensor]) -> list[Tensor]:
        # the mean shrinks from step to step, and so does that part of the divisor that is no epsilon
        root = ops.sqrt(slots["square"])
        share = root / (root + self.epsilon)
        step = -slots["mean"] / (root + self.epsilon)
        return [step * share, step * (1 - share)]


class AdamW(Adam):
    """Adam with decoupled weight decay: each step also shrinks the weights by learning rate × ``weight_decay``.

    I. Loshchilov and F. Hutter (2019), "Decoupled weight decay regularization", ICLR.
    """

    decoupled = True


class RMSprop(StochasticSolver):
    """RMSprop: steps scaled by a running mean of the gradient's square.

    T. Tieleman and G. Hinton (2012), lecture 6.5 of "Neural networks for machine learning".

    Parameters
    ----------
    rho : float
        The share of the past that the running mean keeps, in [0, 1).
    epsilon : float
        Added to the root of the mean square.
    clip_norm : float, optional
        The largest norm of a step's gradient, over all weights together; a larger one is scaled down. None is no bound.
    clip_value : float, optional
        The largest absolute value of an entry of the gradient, instead; larger ones are cut.
    """

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
        check_kept(self, "rho")
        _check_epsilon(self)

    @property
    def slots(self) -> Mapping[str, float]:
        return {"square": 0.0}

    def update(
        self, ops: Ops, weight: Tensor, gradient: Tensor, slots: Mapping[str, Tensor], step_size: Tensor, dtype: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        square = slots["square"] + (ops.square(gradient) - slots["square"]) * _rest(self.rho, dtype)
        return weight - step_size * gradient / (ops.sqrt(square) + self.epsilon), {"square": square}

    def idling(self) -> Idling | None:
        return Idling({"square": self.rho})


class Adagrad(StochasticSolver):
    """Adagrad: steps scaled by the sum of all squared gradients.

    J. Duchi, E. Hazan and Y. Singer (2011), "Adaptive subgradient methods for online learning", JMLR 12.

    Parameters
    ----------
    initial_sum : float
        What the sum of squares starts from.
    epsilon : float
        Added to the root of the sum.
    clip_norm : float, optional
        The largest norm of a step's gradient, over all weights together; a larger one is scaled down. None is no bound.
    clip_value : float, optional
        The largest absolute value of an entry of the gradient, instead; larger ones are cut.
    """

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
        check_number(
            "Adagrad.initial_sum", self.initial_sum, "It is what the sum of squares starts from; 0.1 is usual."
        )
        _check_epsilon(self)

    @property
    def slots(self) -> Mapping[str, float]:
        return {"square": float(self.initial_sum)}

    def update(
        self, ops: Ops, weight: Tensor, gradient: Tensor, slots: Mapping[str, Tensor], step_size: Tensor, dtype: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        square = slots["square"] + ops.square(gradient)
        return weight - step_size * gradient / (ops.sqrt(square) + self.epsilon), {"square": square}

    def idling(self) -> Idling | None:
        return Idling({"square": 1.0})
