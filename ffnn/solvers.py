"""The solvers that train by batches: Adam, AdamW, SGD, RMSprop, Adagrad; and all solvers by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ffnn.lbfgs import LBFGS
from ffnn.ops import Ops, Tensor
from ffnn.parameters import check_number, unknown_name
from ffnn.solver import Solver, StochasticSolver

__all__ = ["LBFGS", "SGD", "SOLVERS", "Adagrad", "Adam", "AdamW", "RMSprop", "resolve_solver"]

Array = np.ndarray[Any, np.dtype[Any]]


def _check_share(solver: Solver, *names: str) -> None:
    for name in names:
        label = f"{type(solver).__name__}.{name}"
        value = check_number(label, getattr(solver, name), "It is the share of the past that is kept.")
        if value >= 1:
            raise ValueError(
                f"{label}={value!r}: expected a number in [0, 1). It is the share of the past that is kept."
            )


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
        _check_share(self, "beta_1", "beta_2")
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


class AdamW(Adam):
    """Adam with decoupled weight decay: each step also shrinks the weights by learning rate × ``weight_decay``.

    I. Loshchilov and F. Hutter (2019), "Decoupled weight decay regularization", ICLR.
    """

    decoupled = True


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
        _check_share(self, "momentum")

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
        _check_share(self, "rho")
        _check_epsilon(self)

    @property
    def slots(self) -> Mapping[str, float]:
        return {"square": 0.0}

    def update(
        self, ops: Ops, weight: Tensor, gradient: Tensor, slots: Mapping[str, Tensor], step_size: Tensor, dtype: str
    ) -> tuple[Tensor, dict[str, Tensor]]:
        square = slots["square"] + (ops.square(gradient) - slots["square"]) * _rest(self.rho, dtype)
        return weight - step_size * gradient / (ops.sqrt(square) + self.epsilon), {"square": square}


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
