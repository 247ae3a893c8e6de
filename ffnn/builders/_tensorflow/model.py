"""A network's model on TensorFlow: one fit's variables, and the program that all fits of its architecture share."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from ffnn.builders._cache import BoundedCache
from ffnn.builders._devices import in_scope
from ffnn.builders._forward import Outputs, StepInputs
from ffnn.builders._state import Variables, check_weights, fill_slots
from ffnn.builders._tensorflow import ops
from ffnn.builders._tensorflow._private import free_functions
from ffnn.builders._tensorflow.data.training_data import PIECE, TrainingData, pieces_of
from ffnn.builders._tensorflow.forward import Architecture
from ffnn.builders._tensorflow.memory import variable_of
from ffnn.builders._tensorflow.program import Program, initial_slots, program_key
from ffnn.layer import Context
from ffnn.model import Array, Arrays, EpochPlan, Rows, State
from ffnn.network import Network
from ffnn.ops import SparseRows
from ffnn.solver import Solver

__all__ = ["ProgramModel", "TensorFlowModel"]

# a program takes about 3.5 MB; one that was dropped is traced again when it is needed again
_programs: BoundedCache[Program] = BoundedCache(6, free_functions)


class ProgramModel:
    """The variables of one fit.

    The program takes them as arguments and captures none, so fits in several threads can share it.

    Parameters
    ----------
    network : Network
        The description.
    solver : Solver
        The solver.
    program : Program
        The program.
    device : str, optional
        The device's full name; by default TensorFlow chooses.
    """

    #: The name of the builder.
    builder: ClassVar[str]

    def __init__(self, network: Network, solver: Solver, program: Program, device: str | None = None) -> None:
        self._device = device
        self._network = network
        self._solver = solver
        self._program = program
        self.trainable = dict(program.architecture.decays)
        self._specs = program.architecture.specs
        with self.scope():
            self._scalars = tf.constant(network.scalars())
        self._variables = Variables([], [], [])
        self._memory: Any = None  # of the program's runner
        self._step = 0
        # another thread may predict between epochs, and so settle postponed work
        self._lock = threading.RLock()
        self._data: TrainingData | None = None

    def scope(self) -> AbstractContextManager[Any]:
        """Return the context that sets the model's device."""
        return nullcontext() if self._device is None else tf.device(self._device)

    @in_scope
    def initial_weights(self, rng: np.random.Generator) -> Arrays:
        return self._network.initial_weights(rng)

    @in_scope
    def set_state(self, state: State) -> None:
        check_weights(state.weights, {name: shape for name, (shape, _) in self._specs.items()})
        variables = [variable_of(state.weights[name], dtype) for name, (_, dtype) in self._specs.items()]
        weights, extras = variables[: len(self.trainable)], variables[len(self.trainable) :]
        self._variables = Variables(weights, extras, initial_slots(self._solver, weights))
        fill_slots(state, self._solver, self.trainable, self._variables.slots, lambda v, value: v.assign(value))
        self._memory = None
        self._step = state.step

    @in_scope
    def get_state(self) -> State:
        self._settle()
        weights = {name: variable.numpy() for name, variable in self.variables.items()}
        slots = {
            f"{name}/{slot}": variable.numpy()
            for name, variables in zip(self.trainable, self._variables.slots, strict=True)
            for slot, variable in zip(self._solver.slots, variables, strict=True)
        }
        return State(weights, slots, self._step)

    def get_step(self) -> int:
        return self._step

    @in_scope
    def is_finite(self) -> bool:
        self._settle()
        weights, extras, slots = self._variables
        others = [v for v in (*extras, *itertools.chain(*slots)) if v.dtype.is_floating]
        # sums of squares need no memory; the numbers are looked at one by one only where a sum overflows
        sums = [tf.cast(tf.nn.l2_loss(v), "float64") for v in (*weights, *others)]
        if bool(tf.reduce_all(tf.math.is_finite(sums))):
            return True
        arrays = itertools.chain((tf.square(weight) for weight in weights), others)
        return all(bool(tf.reduce_all(tf.math.is_finite(array))) for array in arrays)

    @in_scope
    def load(self, x: Rows, targets: Array, weight: Array) -> None:
        runner = self._program.runner
        on_host = runner is not None and runner.on_host(x)
        self._data = TrainingData(self._network.input, x, targets, weight, on_host=on_host)

    def unload(self) -> None:
        self._data = None

    @in_scope
    def train_epoch(self, plan: EpochPlan) -> float:
        with self._lock:
            return self._train_epoch(plan)

    def _train_epoch(self, plan: EpochPlan) -> float:
        assert self._data is not None  # load() comes first
        runner, variables = self._program.runner, self._variables
        assert runner is not None  # only a stochastic solver plans epochs
        if not runner.defers(plan.weight_decay):
            self._settle()
        if self._memory is None:
            self._memory = runner.memory()
        runner.begin_epoch(variables, plan, self._memory)
        total = total_weight = 0.0
        for part in self._data.parts(plan, pad=runner.pads(plan)):
            loss, weight = runner.train(variables, part, self._scalars, self._memory)
            total, total_weight = total + loss, total_weight + weight
        self._step += plan.n_batches
        return total / total_weight if total_weight else 0.0

    def _settle(self) -> None:
        """Do the work that epochs have postponed."""
        with self._lock:
            if self._memory is not None and self._program.runner is not None:
                self._program.runner.settle(self._variables, self._memory)

    @in_scope
    def loss_and_gradient(self, weights: Arrays) -> tuple[float, Arrays]:
        if not self._variables.weights:
            self.set_state(State({n: weights.get(n, np.zeros(shape)) for n, (shape, _) in self._specs.items()}))
        for name, variable in zip(self.trainable, self._variables.weights, strict=True):
            variable.assign(weights[name])
        assert self._data is not None  # load() comes first
        total, total_weight, sums = 0.0, 0.0, [np.zeros_like(weights[name]) for name in self.trainable]
        for data in self._data.pieces():
            loss, weight, gradients = self._program.loss_and_gradient(self._variables.without_slots(), data)
            total, total_weight = total + loss, total_weight + weight
            sums = [s + g for s, g in zip(sums, gradients, strict=True)]
        total_weight = total_weight or 1.0
        return total / total_weight, {name: g / total_weight for name, g in zip(self.trainable, sums, strict=True)}

    @in_scope
    def forward(self, x: Rows, layer: int | None = None) -> Array:
        prediction = self._program.prediction
        if prediction.on_host(x):
            self._settle()
            return prediction.scores_on_host(self._variables.without_slots(), x.arrays, x.n_rows, layer)
        return self._by_piece(x, functools.partial(prediction.scores, layer=layer))

    @in_scope
    def input_gradient(self, x: Rows) -> Array:
        return self._by_piece(x, self._program.prediction.gradients)

    def _by_piece(self, x: Rows, function: Callable[[Variables, tuple[Any, ...], int], Array]) -> Array:
        self._settle()
        variables = self._variables.without_slots()
        pieces = pieces_of(self._network.input, x, PIECE)
        values = [function(variables, arrays, n_rows) for arrays, n_rows in pieces]
        return values[0] if len(values) == 1 else np.concatenate(values)

    def describe(self) -> dict[str, Any]:
        """Return how the model computes: ``builder``, and ``runner``, ``path`` and ``packed`` as the program says."""
        return {"builder": self.builder, **self._program.describe()}

    @property
    def native(self) -> Any:
        """The model itself: TensorFlow has no model class of its own."""
        return self

    @property
    def variables(self) -> dict[str, Any]:
        """The ``tf.Variable`` of each weight, by name."""
        return dict(zip(self._specs, [*self._variables.weights, *self._variables.extras], strict=True))


class TensorFlowModel(ProgramModel):
    """A network as a raw TensorFlow graph."""

    builder = "tf"

    def __init__(self, network: Network, solver: Solver, device: str | None = None) -> None:
        key = program_key(network.structure(), network, solver)
        program = _programs.get(key, lambda: Program(_architecture(network), solver))
        super().__init__(network, solver, program, device)


def _architecture(network: Network) -> Architecture:
    """Return the network with a forward pass of raw operations."""
    names = [*network.trained, *network.extras]

    def forward(
        *, weights: Any, extras: Any, x: Any, training: StepInputs | None = None, n_stages: int | None = None
    ) -> Outputs:
        named = dict(zip(names, [*weights, *extras], strict=True))
        context = Context() if training is None else network.training_context(*training)
        x = network.first(n_stages).apply(ops, x, named, context, start=network.n_entry)
        x = x.dense(ops) if isinstance(x, SparseRows) else x
        return Outputs(x, [context.updates.get(name, named[name]) for name in network.extras], None)

    specs = {name: (weight.shape, network.dtype) for name, weight in (network.trained | network.extras).items()}
    return Architecture(
        network,
        forward,
        entry=network.first(network.n_entry),
        specs=specs,
        decays={name: weight.decays for name, weight in network.trained.items()},
        by_feature=network.by_feature,
    )
