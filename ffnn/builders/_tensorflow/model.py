"""A network's model on TensorFlow: one fit's variables, and the program that all fits of its architecture share."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from ffnn.builders._cache import BoundedCache
from ffnn.builders._state import Specs, check_weights, fill_slots
from ffnn.builders._tensorflow import ops
from ffnn.builders._tensorflow.memory import variable_of
from ffnn.builders._tensorflow.program import Program, initial_slots, program_key
from ffnn.builders._tensorflow.samples import PIECE, Samples, pieces_of
from ffnn.layer import Context
from ffnn.model import Array, Arrays, EpochPlan, Rows, State
from ffnn.network import Network
from ffnn.ops import SparseRows
from ffnn.solver import Solver

__all__ = ["ProgramModel", "TensorFlowModel"]

# what is dropped is traced again when it is needed again
_programs: BoundedCache[Program] = BoundedCache(64)


class ProgramModel:
    """The variables of one fit.

    The program takes them as arguments and captures none, so that fits in several threads share it safely.

    Parameters
    ----------
    network : Network
        The description.
    solver : Solver
        What trains it.
    program : Program
        What runs it.
    trainable : mapping of str to bool
        The names of the trained weights and whether weight decay acts on each.
    specs : mapping of str to (shape, dtype)
        Of all weights: first the trained ones, then what is learned otherwise.
    """

    def __init__(
        self, network: Network, solver: Solver, program: Program, trainable: Mapping[str, bool], specs: Specs
    ) -> None:
        self._network = network
        self._solver = solver
        self._program = program
        self.trainable = dict(trainable)
        self._specs = specs
        self._scalars = tf.constant(network.scalars())
        self._weights: list[Any] = []
        self._extras: list[Any] = []
        self._slots: list[list[Any]] = []
        self._memory: Any = None  # of the epochs, what their steps left for later
        self._step = 0
        # what waits is settled between epochs: another thread may predict meanwhile
        self._lock = threading.RLock()
        self._samples: Samples | None = None

    def initial_weights(self, rng: np.random.Generator) -> Arrays:
        return self._network.initial_weights(rng)

    def set_state(self, state: State) -> None:
        check_weights(state.weights, {name: shape for name, (shape, _) in self._specs.items()})
        variables = [variable_of(state.weights[name], dtype) for name, (_, dtype) in self._specs.items()]
        self._weights, self._extras = variables[: len(self.trainable)], variables[len(self.trainable) :]
        self._slots = initial_slots(self._solver, self._weights)
        fill_slots(state, self._solver, self.trainable, self._slots, lambda v, value: v.assign(value))
        self._memory = None
        self._step = state.step

    def get_state(self) -> State:
        self._settle()
        weights = {name: variable.numpy() for name, variable in self.variables.items()}
        slots = {
            f"{name}/{slot}": variable.numpy()
            for name, variables in zip(self.trainable, self._slots, strict=True)
            for slot, variable in zip(getattr(self._solver, "slots", ()), variables, strict=True)
        }
        return State(weights, slots, self._step)

    def get_step(self) -> int:
        return self._step

    def is_finite(self) -> bool:
        self._settle()
        squares = (tf.square(weight) for weight in self._weights)
        others = (v for v in (*self._extras, *itertools.chain(*self._slots)) if v.dtype.is_floating)
        return bool(
            tf.reduce_all([True, *(tf.reduce_all(tf.math.is_finite(v)) for v in itertools.chain(squares, others))])
        )

    def load(self, x: Rows, targets: Array, weight: Array) -> None:
        steps = self._program.steps
        on_host = steps is not None and steps.on_host(x)
        self._samples = Samples(self._network.input, x, targets, weight, on_host=on_host)

    def unload(self) -> None:
        self._samples = None

    def train_epoch(self, plan: EpochPlan) -> float:
        with self._lock:
            return self._train_epoch(plan)

    def _train_epoch(self, plan: EpochPlan) -> float:
        assert self._samples is not None  # loaded by whoever trains
        steps = self._program.steps
        assert steps is not None  # whoever plans epochs has a stochastic solver
        if not steps.waits(plan.weight_decay):
            self._settle()
        if self._memory is None:
            self._memory = steps.memory()
        steps.begin_epoch(self._weights, self._slots, plan, self._memory)
        total = mass = 0.0
        for part, data, filling in self._samples.parts(plan, fill=steps.fills(plan)):
            loss, m = steps.train_epoch(
                self._weights, self._extras, self._slots, data, self._scalars, part, self._memory, filling
            )
            total, mass = total + loss, mass + m
        self._step += plan.n_batches
        return total / mass if mass else 0.0

    def _settle(self) -> None:
        """Take the steps that were left for later."""
        with self._lock:
            if self._memory is not None and self._program.steps is not None:
                self._program.steps.settle(self._weights, self._slots, self._memory)

    def loss_and_gradient(self, weights: Arrays) -> tuple[float, Arrays]:
        if not self._weights:
            self.set_state(State({n: weights.get(n, np.zeros(shape)) for n, (shape, _) in self._specs.items()}))
        for name, variable in zip(self.trainable, self._weights, strict=True):
            variable.assign(weights[name])
        assert self._samples is not None  # loaded by whoever trains
        total, mass, sums = 0.0, 0.0, [np.zeros_like(weights[name]) for name in self.trainable]
        for data in self._samples.pieces():
            loss, m, gradients = self._program.loss_and_gradient(self._weights, self._extras, data)
            total, mass = total + loss, mass + m
            sums = [s + g for s, g in zip(sums, gradients, strict=True)]
        mass = mass or 1.0
        return total / mass, {name: g / mass for name, g in zip(self.trainable, sums, strict=True)}

    def forward(self, x: Rows, layer: int | None = None) -> Array:
        prediction = self._program.prediction
        if prediction.on_host(x):
            self._settle()
            return prediction.of_products(self._weights, self._extras, x.arrays, x.n_rows, layer)
        return self._by_piece(x, functools.partial(prediction.scores, layer=layer))

    def input_gradient(self, x: Rows) -> Array:
        return self._by_piece(x, self._program.prediction.slopes)

    def _by_piece(self, x: Rows, function: Callable[..., Array]) -> Array:
        self._settle()
        pieces = pieces_of(self._network.input, x, PIECE)
        values = [function(self._weights, self._extras, arrays, n_rows) for arrays, n_rows in pieces]
        return values[0] if len(values) == 1 else np.concatenate(values)

    @property
    def native(self) -> Any:
        """The model itself: it is nobody else's."""
        return self

    @property
    def variables(self) -> dict[str, Any]:
        """The ``tf.Variable`` of each weight, by name."""
        return dict(zip(self._specs, self._weights + self._extras, strict=True))


class TensorFlowModel(ProgramModel):
    """A network as a raw TensorFlow graph."""

    def __init__(self, network: Network, solver: Solver) -> None:
        key = program_key(network.structure(), solver)
        trainable = {name: weight.decays for name, weight in network.trained.items()}
        specs = {name: (weight.shape, network.dtype) for name, weight in (network.trained | network.extras).items()}
        program = _programs.get(key, lambda: _make_program(network, solver, trainable, specs))
        super().__init__(network, solver, program, trainable, specs)


def _make_program(network: Network, solver: Solver, decays: Mapping[str, bool], specs: Specs) -> Program:
    names = [*network.trained, *network.extras]

    def forward(
        weights: list[Any], extras: list[Any], x: Any, scalars: Any, seed: Any, row_weight: Any, training: bool,
        n_stages: int | None = None,
    ) -> tuple[Any, list[Any], None]:  # fmt: skip
        named = dict(zip(names, [*weights, *extras], strict=True))
        context = network.training_context(scalars, seed, row_weight) if training else Context()
        x = network.first(n_stages).apply(ops, x, named, context, start=network.n_entry)
        x = x.dense(ops) if isinstance(x, SparseRows) else x
        return x, [context.updates.get(name, named[name]) for name in network.extras], None

    return Program(network, solver, decays, specs, network.by_feature, forward, network.first(network.n_entry))
