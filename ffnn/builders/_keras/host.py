"""A network's model as Keras layers on an engine that takes one batch at a time, prepared on the host in NumPy."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
from keras import ops

from ffnn.builders._devices import in_scope
from ffnn.builders._keras.engine import Batch, Engine, Step
from ffnn.builders._keras.source import Source
from ffnn.builders._state import Variables, check_weights, fill_slots
from ffnn.model import Array, Arrays, EpochPlan, Rows, State
from ffnn.network import Network
from ffnn.ops import NumpyOps, SparseRows, Tensor
from ffnn.solver import Solver, StochasticSolver

__all__ = ["GRADIENT_ROWS", "TILE_ROWS", "HostModel"]

#: The rows that are predicted at a time, and those of a pass of the full-batch gradient, as in the ``tf`` builder.
TILE_ROWS = 64
GRADIENT_ROWS = 256

_host = NumpyOps()


class HostModel(ABC):
    """The arrays of one fit: the base of the models on torch and on JAX."""

    def __init__(self, network: Network, solver: Solver, source: Source, device: str | None = None) -> None:
        self._device = device
        self._network = network
        self._solver = solver
        self._source = source
        with self.scope():
            self._engine = self.make_engine()
            source.forget()
            template = self._engine.template
            self.trainable = dict(template.trainable)
            self._specs = template.specs
            arrays = [ops.zeros(shape, dtype) for shape, dtype in self._specs.values()]
        n = len(self.trainable)
        self._variables = Variables(arrays[:n], arrays[n:], [])
        self._step = 0
        self._data: tuple[Any, ...] = ()

    @abstractmethod
    def make_engine(self) -> Engine:
        """Return the engine, which computes all stages but those that act on sparse rows."""

    def scope(self) -> AbstractContextManager[Any]:
        """Return the context that sets the model's device, and in which new arrays have the network's dtype."""
        return nullcontext() if self._device is None else keras.device(self._device)

    @in_scope
    def initial_weights(self, rng: np.random.Generator) -> Arrays:
        return self._source.initial_weights(rng)

    # -- state ----------------------------------------------------------------------------------------------------

    @in_scope
    def set_state(self, state: State) -> None:
        check_weights(state.weights, {name: shape for name, (shape, _) in self._specs.items()})
        solver = self._solver
        initial = solver.slots if isinstance(solver, StochasticSolver) else {}
        slots = [
            [np.full(shape, value, dtype) for value in initial.values()]
            for name, (shape, dtype) in self._specs.items()
            if name in self.trainable
        ]
        fill_slots(state, solver, self.trainable, slots, lambda array, value: np.copyto(array, value))
        arrays = [self._array(state.weights[name], dtype) for name, (_, dtype) in self._specs.items()]
        slots = [[self._array(a, a.dtype.name) for a in of_weight] for of_weight in slots]
        n = len(self.trainable)
        self._variables = Variables(arrays[:n], arrays[n:], slots)
        self._step = state.step

    @in_scope
    def get_state(self) -> State:
        arrays = [*self._variables.weights, *self._variables.extras]
        weights = {name: np.array(ops.convert_to_numpy(a)) for name, a in zip(self._specs, arrays, strict=True)}
        slots = {
            f"{name}/{slot}": np.array(ops.convert_to_numpy(array))
            for name, of_weight in zip(self.trainable, self._variables.slots, strict=True)
            for slot, array in zip(self._solver.slots, of_weight, strict=True)
        }
        return State(weights, slots, self._step)

    def get_step(self) -> int:
        return self._step

    @in_scope
    def is_finite(self) -> bool:
        weights, extras, slots = self._variables
        squares = (ops.square(weight) for weight in weights)
        others = (a for a in (*extras, *itertools.chain(*slots)) if _is_float(a))
        finite = [ops.ones((), "bool"), *(ops.all(ops.isfinite(a)) for a in itertools.chain(squares, others))]
        return bool(ops.convert_to_numpy(ops.all(ops.stack(finite))))

    # -- data -----------------------------------------------------------------------------------------------------

    @in_scope
    def load(self, x: Rows, targets: Array, weight: Array) -> None:
        self._data = (x.arrays, targets, weight)

    def unload(self) -> None:
        self._data = ()

    @staticmethod
    def _array(value: Array, dtype: str) -> Tensor:
        # a copy: engines may share memory with a NumPy array, which its owner may change
        return ops.convert_to_tensor(np.array(value, dtype=dtype))

    def _rows(self, arrays: Sequence[Array], rows: Array, seed: Array | None, n_stages: int | None = None) -> Tensor:
        """Return a dense batch, after the stages (or the first ``n_stages``) that act on sparse rows."""
        x = self._network.input.gather(_host, arrays, rows, self._network.n_features)
        if self._network.input.sparse:
            prefix = self._engine.prefix.first(n_stages)
            context = None if seed is None else prefix.training_context(self._network.scalars(), seed)
            x = prefix.apply(_host, x, {}, context)
            x = x.dense(_host) if isinstance(x, SparseRows) else x
        return ops.convert_to_tensor(np.ascontiguousarray(x))

    def _batch(self, rows: Array, seed: Array | None) -> Batch:
        arrays, targets, weight = self._data
        x = self._rows(arrays, rows, seed)
        return Batch(x, ops.convert_to_tensor(targets[rows]), ops.convert_to_tensor(weight[rows]))

    # -- computing ------------------------------------------------------------------------------------------------

    @in_scope
    def train_epoch(self, plan: EpochPlan) -> float:
        losses, weights = [], []
        dtype = self._network.dtype
        decay = self._array(np.asarray(plan.weight_decay), dtype)
        clipping = {name: self._array(np.asarray(bound), dtype) for name, bound in plan.clipping.items()}
        for i, (size, rate) in enumerate(zip(plan.step_sizes, plan.learning_rates, strict=True)):
            seed = plan.seeds[i]
            batch = self._batch(plan.batch(i), seed)
            step = Step(
                seed=ops.convert_to_tensor(seed),
                step_size=self._array(size, dtype),
                shrinkage=self._array(rate * plan.weight_decay, dtype),
                decay=decay,
                clipping=clipping,
            )
            self._variables, loss, weight = self._engine.step(self._variables, batch, step)
            losses.append(loss)
            weights.append(weight)
        self._step += plan.n_batches
        sums = [float(np.sum([ops.convert_to_numpy(v) for v in vs], dtype=np.float64)) for vs in (losses, weights)]
        return sums[0] / sums[1] if sums[1] else 0.0

    @in_scope
    def loss_and_gradient(self, weights: Arrays) -> tuple[float, Arrays]:
        n_rows, loss, total_weight = len(self._data[2]), 0.0, 0.0
        sums = {name: np.zeros_like(weights[name]) for name in self.trainable}
        arrays = [self._array(weights[name], self._specs[name][1]) for name in self.trainable]
        variables = self._variables = self._variables._replace(weights=arrays)
        for start in range(0, n_rows, GRADIENT_ROWS):
            rows = np.arange(start, min(start + GRADIENT_ROWS, n_rows))
            part, weight, gradients = self._engine.gradient(variables.without_slots(), self._batch(rows, None))
            loss += float(ops.convert_to_numpy(part))
            total_weight += float(ops.convert_to_numpy(weight))
            for name, gradient in zip(self.trainable, gradients, strict=True):
                sums[name] += ops.convert_to_numpy(gradient)
        total_weight = total_weight or 1.0
        return loss / total_weight, {name: value / total_weight for name, value in sums.items()}

    @in_scope
    def forward(self, x: Rows, layer: int | None = None) -> Array:
        n_stages = None if layer is None else self._network.hidden[layer]
        rest = None if n_stages is None else n_stages - len(self._engine.prefix.stages)
        batches = (self._rows(x.arrays, rows, None, n_stages) for rows in _tiles(x.n_rows))
        variables = self._variables.without_slots()
        scores = [self._engine.scores(variables, batch, rest) for batch in batches]
        return np.concatenate([ops.convert_to_numpy(tile) for tile in scores])[: x.n_rows]

    @in_scope
    def input_gradient(self, x: Rows) -> Array:
        network = self._network
        result = np.empty((x.n_rows, network.n_outputs, network.n_features), network.dtype)
        variables = self._variables.without_slots()
        picks = [self._array(pick, network.dtype) for pick in np.eye(network.n_outputs)]
        for rows in _tiles(x.n_rows):
            batch = self._rows(x.arrays, rows, None, 0)
            for k, pick in enumerate(picks):
                gradient = self._engine.input_gradient(variables, batch, pick)
                result[rows, k] = ops.convert_to_numpy(gradient)
        return result

    @property
    @in_scope
    def native(self) -> Any:
        """A new ``keras.Model`` with the current weights; changing it does not change this model."""
        return self._source.public(self.get_state().weights)


def _is_float(array: Tensor) -> bool:
    return "float" in keras.backend.standardize_dtype(array.dtype)  # bfloat16, too


def _tiles(n_rows: int) -> Iterator[Array]:
    """Yield the rows of each tile; the last one is filled up with copies of the last row."""
    for start in range(0, n_rows, TILE_ROWS):
        yield np.minimum(np.arange(start, start + TILE_ROWS), n_rows - 1)
