"""The computations of a training on one of Keras's backends, a batch at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import keras
from keras import ops

from ffnn.builders._forward import StepInputs
from ffnn.builders._keras.ops import KerasOps
from ffnn.builders._keras.template import Template
from ffnn.builders._state import Variables
from ffnn.network import Network
from ffnn.ops import SparseRows, Tensor
from ffnn.solver import Solver, StochasticSolver, clipped

__all__ = ["Batch", "Engine", "Step"]


class Batch(NamedTuple):
    """A dense batch, its encoded targets and its sample weights."""

    x: Tensor
    targets: Tensor
    weight: Tensor


class Step(NamedTuple):
    """The numbers of a step.

    Parameters
    ----------
    seed : integer tensor of shape (2,)
        The step's seed.
    step_size : scalar tensor
        The learning rate times the bias correction.
    shrinkage : scalar tensor
        The fraction by which decoupled weight decay shrinks a weight.
    decay : scalar tensor
        The weight decay.
    clipping : dict of str to scalar tensor
        The bound of the gradient, if there is one: see :func:`ffnn.solver.clipped`.
    """

    seed: Tensor
    step_size: Tensor
    shrinkage: Tensor
    decay: Tensor
    clipping: dict[str, Tensor]


class Engine(ABC):
    """Computes on one of Keras's backends, a batch at a time, as pure functions.

    Parameters
    ----------
    network : Network
        The description.
    solver : Solver
        The solver.
    prefix : Network
        The stages that act on sparse rows.
    template : Template
        All stages after them, as a function.
    """

    ops = KerasOps()

    def __init__(self, network: Network, solver: Solver, prefix: Network, template: Template) -> None:
        self.network = network
        self.solver = solver
        self.prefix = prefix
        self.template = template

    def loss(
        self, weights: Sequence[Tensor], extras: Sequence[Tensor], batch: Batch, seed: Tensor | None = None
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the sum of a batch's losses, their total weight, and the new extras; with a seed, for training."""
        training = None if seed is None else StepInputs(None, seed, batch.weight)
        scores, new_extras, penalty = self.template(weights, extras, batch.x, training=training)
        loss, total_weight = self.network.output.loss(self.ops, scores, batch.targets, batch.weight)
        return (loss if penalty is None else loss + penalty * total_weight), total_weight, new_extras

    @staticmethod
    def mean(loss: Tensor, total_weight: Tensor) -> Tensor:
        """Return the mean loss, which is 0 for a batch with missing labels only."""
        return loss / ops.where(total_weight == 0, ops.ones_like(total_weight), total_weight)

    def update(
        self, variables: Variables, gradients: Sequence[Tensor], step: Step
    ) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Return the weights and slots after the solver's step."""
        solver = self.solver
        assert isinstance(solver, StochasticSolver)  # L-BFGS takes its steps in the core
        new_weights, new_slots = [], []
        gradients = clipped(self.ops, gradients, self.network.dtype, **step.clipping)
        decays = self.template.trainable.values()
        of_weights = zip(variables.weights, variables.slots, gradients, decays, strict=True)
        for weight, slots, gradient, decays_here in of_weights:
            dtype = keras.backend.standardize_dtype(weight.dtype)
            size, shrink, ridge = (ops.cast(v, dtype) for v in (step.step_size, step.shrinkage, step.decay))
            if decays_here and solver.decoupled:
                weight = weight - shrink * weight
            elif decays_here:
                gradient = gradient + ridge * weight
            named = dict(zip(solver.slots, slots, strict=True))
            weight, new = solver.update(self.ops, weight, gradient, named, size, dtype)
            new_weights.append(weight)
            new_slots.append([new[name] for name in solver.slots])
        return new_weights, new_slots

    @abstractmethod
    def step(self, variables: Variables, batch: Batch, step: Step) -> tuple[Variables, Tensor, Tensor]:
        """Return the variables after a step, and the batch's loss and total weight before it."""

    @abstractmethod
    def gradient(self, variables: Variables, batch: Batch) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the sum of a batch's losses without dropout, their total weight, and the gradient of the sum."""

    def picked(self, variables: Variables, x: Tensor, pick: Tensor) -> Tensor:
        """Return the sum of one score over a dense batch: the score for which ``pick`` has a 1."""
        if self.prefix.stages:
            # not on the host, since NumPy has no gradients
            x = self.prefix.apply(self.ops, self.network.entering(self.ops, x), {})
            x = x.dense(self.ops) if isinstance(x, SparseRows) else x
        return ops.sum(self.template(variables.weights, variables.extras, x).scores * pick)

    @abstractmethod
    def scores(self, variables: Variables, x: Tensor, n_stages: int | None) -> Tensor:
        """Return the scores of a batch, or the values after some of the template's stages."""

    @abstractmethod
    def input_gradient(self, variables: Variables, x: Tensor, pick: Tensor) -> Tensor:
        """Return the gradient of :meth:`picked` with respect to ``x``."""
