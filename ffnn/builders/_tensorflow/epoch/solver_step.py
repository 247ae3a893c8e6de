"""A solver's step in TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ffnn.builders._tensorflow import ops
from ffnn.ops import Tensor
from ffnn.solver import Solver, StochasticSolver
from ffnn.solvers import Adam, AdamW

__all__ = ["Decays", "Rates", "SolverStep", "rates_at"]


#: Whether weight decay acts on a variable; for packed weights an array with 1 where it acts and 0 elsewhere.
Decays = bool | np.ndarray[Any, np.dtype[Any]]


class Rates(NamedTuple):
    """The numbers of one step.

    Parameters
    ----------
    step_size : scalar tensor
        The learning rate times the bias correction.
    shrinkage : scalar tensor or None
        The fraction by which decoupled weight decay shrinks a weight; None without weight decay.
    decay : scalar tensor or None
        The weight decay.
    """

    step_size: Tensor
    shrinkage: Tensor | None
    decay: Tensor | None


def rates_at(plan: Mapping[str, Any], i: Tensor) -> Rates:
    """Return the numbers of step ``i`` from an epoch's tensors."""
    shrinkage = tf.gather(plan["shrinkages"], i) if "shrinkages" in plan else None
    return Rates(tf.gather(plan["step_sizes"], i), shrinkage, plan.get("decay"))


def _apply_adam(weight: Any, slots: Sequence[Any], gradient: Tensor, step_size: Tensor, solver: Adam) -> None:
    """Take a step of Adam by TensorFlow's fused kernel, which writes to the variables in place."""
    tf.raw_ops.ResourceApplyAdam(
        var=weight.handle,
        m=slots[0].handle,
        v=slots[1].handle,
        beta1_power=tf.zeros((), weight.dtype),  # the step size includes the bias correction
        beta2_power=tf.zeros((), weight.dtype),
        lr=step_size,
        beta1=tf.constant(solver.beta_1, weight.dtype),
        beta2=tf.constant(solver.beta_2, weight.dtype),
        epsilon=tf.constant(solver.epsilon, weight.dtype),
        grad=gradient,
    )


#: Solvers for which TensorFlow has a fused kernel, which is faster than the same formula in separate operations.
_FUSED: dict[type[Solver], Callable[..., None]] = {Adam: _apply_adam, AdamW: _apply_adam}


class SolverStep:
    """Takes a solver's steps.

    Parameters
    ----------
    solver : StochasticSolver
        The solver.
    """

    def __init__(self, solver: StochasticSolver) -> None:
        self._solver = solver

    def named(self, slots: Sequence[Any]) -> dict[str, Any]:
        """Return the slots of a weight by name."""
        return dict(zip(self._solver.slots, slots, strict=True))

    def assign(self, weight: Any, slots: Sequence[Any], gradient: Tensor, rates: Rates, decays: Decays) -> None:
        """Take a step in place."""
        solver = self._solver
        if type(solver) in _FUSED:
            if decays is not False and solver.decoupled:
                weight.assign_sub(_times(rates.shrinkage, weight, decays) * weight)
            elif decays is not False:
                gradient = gradient + _times(rates.decay, weight, decays) * weight
            _FUSED[type(solver)](weight, slots, gradient, tf.cast(rates.step_size, weight.dtype), solver)
            return
        values = self.stepped(weight, self.named(slots), gradient, rates, decays)
        for variable, value in zip([weight, *slots], values, strict=True):
            variable.assign(value)

    def stepped(
        self, weight: Tensor, slots: Mapping[str, Tensor], gradient: Tensor, rates: Rates, decays: Decays
    ) -> list[Tensor]:
        """Return a weight and its slots after a step."""
        if decays is not False and self._solver.decoupled:
            weight = weight - _times(rates.shrinkage, weight, decays) * weight
        elif decays is not False:
            gradient = gradient + _times(rates.decay, weight, decays) * weight
        size = tf.cast(rates.step_size, weight.dtype)
        value, new = self._solver.update(ops, weight, gradient, slots, size, weight.dtype.name)
        return [value, *(new[name] for name in self._solver.slots)]


def _times(rate: Tensor, weight: Any, decays: Decays) -> Tensor:
    """Return a rate for each entry of a weight: 0 where weight decay does not act."""
    rate = tf.cast(rate, weight.dtype)  # a user's Keras layers may have another dtype
    return rate if isinstance(decays, bool) else rate * tf.constant(decays, weight.dtype)
