"""A network's model as a raw TensorFlow graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from ffnn.builder import Array, Arrays, EpochPlan, State
from ffnn.builders import _tensorflow_ops as ops
from ffnn.builders._cache import BoundedCache
from ffnn.builders._state import check_weights, fill_slots
from ffnn.builders._tensorflow_program import Program, initial_slots
from ffnn.input import Rows
from ffnn.network import Network
from ffnn.solver import Solver

__all__ = ["TensorFlowModel"]

# what is dropped is traced again when it is needed again
_programs: BoundedCache[Program] = BoundedCache(64)


def _make_program(network: Network, solver: Solver) -> Program:
    names = list(network.weights)

    def forward(weights: list[Any], x: Any, scalars: Any, seed: Any, training: bool) -> Any:
        return network.apply(ops, x, dict(zip(names, weights, strict=True)), scalars, seed, training=training)

    return Program(network, solver, [w.decays for w in network.weights.values()], forward)


class TensorFlowModel:
    """A network's variables, and the program that it shares with all networks of its architecture.

    The program takes the variables as arguments and captures none, so that fits in several threads share it safely.
    """

    def __init__(self, network: Network, solver: Solver) -> None:
        self._network = network
        self._solver = solver
        self._program = _programs.get(
            (network.structure(), solver.structure()), lambda: _make_program(network, solver)
        )
        self._scalars = tf.constant(network.scalars())
        self._weights = [tf.Variable(tf.zeros(w.shape, network.dtype)) for w in network.weights.values()]
        self._slots: list[list[Any]] = []
        self._step = 0
        self._data: tuple[Any, ...] = ()
        self.trainable = {name: weight.decays for name, weight in network.weights.items()}

    def initial_weights(self, rng: np.random.Generator) -> Arrays:
        return self._network.initial_weights(rng)

    def set_state(self, state: State) -> None:
        check_weights(state.weights, {name: weight.shape for name, weight in self._network.weights.items()})
        for name, variable in zip(self._network.weights, self._weights, strict=True):
            variable.assign(state.weights[name])
        self._slots = initial_slots(self._solver, self._weights)
        fill_slots(state, self._solver, self._network.weights, self._slots, lambda v, value: v.assign(value))
        self._step = state.step

    def get_state(self) -> State:
        weights = {n: np.array(v) for n, v in zip(self._network.weights, self._weights, strict=True)}
        slots = {
            f"{name}/{slot}": np.array(variable)
            for name, variables in zip(self._network.weights, self._slots, strict=True)
            for slot, variable in zip(getattr(self._solver, "slots", ()), variables, strict=True)
        }
        return State(weights, slots, self._step)

    def get_step(self) -> int:
        return self._step

    def load(self, x: Rows, targets: Array, weight: Array) -> None:
        arrays = tuple(tf.constant(a) for a in x.arrays)
        self._data = (arrays, tf.constant(targets), tf.constant(weight))

    def unload(self) -> None:
        self._data = ()

    def train_epoch(self, plan: EpochPlan) -> float:
        loss = self._program.train_epoch(self._weights, self._slots, self._data, self._scalars, plan)
        self._step += plan.n_batches
        return loss

    def loss_and_gradient(self, weights: Arrays) -> tuple[float, Arrays]:
        for name, variable in zip(self._network.weights, self._weights, strict=True):
            variable.assign(weights[name])
        loss, gradients = self._program.loss_and_gradient(self._weights, self._data)
        return loss, dict(zip(self._network.weights, gradients, strict=True))

    def forward(self, x: Rows) -> Array:
        arrays = tuple(tf.constant(a) for a in x.arrays)
        return np.asarray(self._program.forward(self._weights, arrays, x.n_rows))

    @property
    def native(self) -> TensorFlowModel:
        """The model itself: it is nobody else's."""
        return self

    @property
    def variables(self) -> dict[str, Any]:
        """The ``tf.Variable`` of each weight, by name."""
        return dict(zip(self._network.weights, self._weights, strict=True))
