"""A network's model as Keras layers on an engine that is given one batch at a time, made on the host in NumPy."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
from keras import ops

from ffnn.builders._keras.ops import KerasOps
from ffnn.builders._keras.source import Source
from ffnn.builders._keras.template import Template
from ffnn.builders._state import check_weights, fill_slots
from ffnn.model import Array, Arrays, EpochPlan, Rows, State
from ffnn.network import Network
from ffnn.ops import NumpyOps, SparseRows
from ffnn.solver import Solver, StochasticSolver, clipped

__all__ = ["GRADIENT_ROWS", "TILE_ROWS", "Engine", "HostModel", "Tensor"]

Tensor = Any

#: As in the ``tf`` builder: rows a tile of a prediction, and rows a pass of the full-batch gradient.
TILE_ROWS = 64
GRADIENT_ROWS = 256

_host = NumpyOps()


class Engine(ABC):
    """What an engine of Keras's computes for a batch, as functions of all that they depend on.

    Parameters
    ----------
    network : Network
        The description.
    solver : Solver
        What takes the steps.
    prefix : Network
        What acts on rows in coordinates.
    template : Template
        All that comes after, as a function.
    """

    ops = KerasOps()

    def __init__(self, network: Network, solver: Solver, prefix: Network, template: Template) -> None:
        self.network = network
        self.solver = solver
        self.prefix = prefix
        self.template = template

    def loss(
        self, weights: Sequence[Tensor], extras: Sequence[Tensor], batch: Sequence[Tensor], seed: Tensor | None,
        training: bool,
    ) -> tuple[Tensor, Tensor, list[Tensor]]:  # fmt: skip
        """Return the sum of the losses of a batch, its mass, and the new extras."""
        x, y, w = batch
        scores, updates, penalty = self.template(weights, extras, x, seed, training, None, w if training else None)
        loss, mass = self.network.output.loss(self.ops, scores, y, w)
        return (loss if penalty is None else loss + penalty * mass), mass, updates

    @staticmethod
    def mean(loss: Tensor, mass: Tensor) -> Tensor:
        """Return the mean loss; a batch of nothing but missing labels has no mass, and its loss is 0."""
        return loss / ops.where(mass == 0, ops.ones_like(mass), mass)

    def update(
        self, weights: Sequence[Tensor], slots: Sequence[Sequence[Tensor]], gradients: Sequence[Tensor],
        step_size: Tensor, shrinkage: Tensor, decay: Tensor, clipping: dict[str, Tensor],
    ) -> tuple[list[Tensor], list[list[Tensor]]]:  # fmt: skip
        """Return the weights and slots after the solver's step."""
        solver = self.solver
        assert isinstance(solver, StochasticSolver)  # L-BFGS takes its steps in the core
        new_weights, new_slots = [], []
        gradients = clipped(self.ops, gradients, self.network.dtype, **clipping)
        decays = self.template.trainable.values()
        for weight, slot, gradient, decays_here in zip(weights, slots, gradients, decays, strict=True):
            dtype = keras.backend.standardize_dtype(weight.dtype)
            size, shrink, ridge = (ops.cast(value, dtype) for value in (step_size, shrinkage, decay))
            if decays_here and solver.decoupled:
                weight = weight - shrink * weight
            elif decays_here:
                gradient = gradient + ridge * weight
            named = dict(zip(solver.slots, slot, strict=True))
            weight, new = solver.update(self.ops, weight, gradient, named, size, dtype)
            new_weights.append(weight)
            new_slots.append([new[name] for name in solver.slots])
        return new_weights, new_slots

    @abstractmethod
    def step(
        self, weights: list[Tensor], extras: list[Tensor], slots: list[list[Tensor]], batch: Sequence[Tensor],
        seed: Tensor, step_size: Tensor, shrinkage: Tensor, decay: Tensor, clipping: dict[str, Tensor],
    ) -> tuple[list[Tensor], list[Tensor], list[list[Tensor]], Tensor, Tensor]:  # fmt: skip
        """Take a step; return weights, extras and slots after it, and the batch's loss and mass before it."""

    @abstractmethod
    def gradient(
        self, weights: list[Tensor], extras: list[Tensor], batch: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the sum of the losses of a batch without dropout, its mass, and the sum's gradient."""

    def picked(self, weights: list[Tensor], extras: list[Tensor], x: Tensor, pick: Tensor) -> Tensor:
        """Return the sum of one of a dense batch's scores, that for which `pick` has a 1."""
        if self.prefix.stages:
            # here, not on the host: NumPy gives no gradients
            x = self.prefix.apply(self.ops, self.network.entering(self.ops, x), {})
            x = x.dense(self.ops) if isinstance(x, SparseRows) else x
        return ops.sum(self.template(weights, extras, x, None, False)[0] * pick)

    @abstractmethod
    def scores(self, weights: list[Tensor], extras: list[Tensor], x: Tensor, n_stages: int | None) -> Tensor:
        """Return the scores of a batch, or what leaves the template's first stages."""

    @abstractmethod
    def slopes(self, weights: list[Tensor], extras: list[Tensor], x: Tensor, pick: Tensor) -> Tensor:
        """Return the gradient of :meth:`picked` with respect to ``x``."""


class HostModel(ABC):
    """The arrays of one fit; a base of the models on torch and on JAX."""

    def __init__(self, network: Network, solver: Solver, source: Source) -> None:
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
        self._weights, self._extras = arrays[: len(self.trainable)], arrays[len(self.trainable) :]
        self._slots: list[list[Tensor]] = []
        self._step = 0
        self._data: tuple[Any, ...] = ()

    @abstractmethod
    def make_engine(self) -> Engine:
        """Return the engine for what comes after the part that acts on the host, on rows in coordinates."""

    def scope(self) -> AbstractContextManager[Any]:
        """Return the context in which the engine's arrays keep the network's dtype."""
        return nullcontext()

    def initial_weights(self, rng: np.random.Generator) -> Arrays:
        with self.scope():
            return self._source.initial_weights(rng)

    # -- state ----------------------------------------------------------------------------------------------------

    def set_state(self, state: State) -> None:
        check_weights(state.weights, {name: shape for name, (shape, _) in self._specs.items()})
        solver = self._solver
        initial = solver.slots if isinstance(solver, StochasticSolver) else {}
        slots = [
            [np.full(*spec[:1], value, dtype=spec[1]) for value in initial.values()]
            for name, spec in self._specs.items()
            if name in self.trainable
        ]
        fill_slots(state, solver, self.trainable, slots, lambda array, value: np.copyto(array, value))
        with self.scope():
            arrays = [self._array(state.weights[name], dtype) for name, (_, dtype) in self._specs.items()]
            self._slots = [[self._array(a, a.dtype.name) for a in of_weight] for of_weight in slots]
        self._weights, self._extras = arrays[: len(self.trainable)], arrays[len(self.trainable) :]
        self._step = state.step

    def get_state(self) -> State:
        arrays = [*self._weights, *self._extras]
        weights = {name: np.array(ops.convert_to_numpy(a)) for name, a in zip(self._specs, arrays, strict=True)}
        slots = {
            f"{name}/{slot}": np.array(ops.convert_to_numpy(array))
            for name, of_weight in zip(self.trainable, self._slots, strict=True)
            for slot, array in zip(getattr(self._solver, "slots", ()), of_weight, strict=True)
        }
        return State(weights, slots, self._step)

    def get_step(self) -> int:
        return self._step

    def is_finite(self) -> bool:
        with self.scope():
            squares = (ops.square(weight) for weight in self._weights)
            others = (a for a in (*self._extras, *itertools.chain(*self._slots)) if _is_float(a))
            finite = [ops.ones((), "bool"), *(ops.all(ops.isfinite(a)) for a in itertools.chain(squares, others))]
            return bool(ops.convert_to_numpy(ops.all(ops.stack(finite))))

    # -- data -----------------------------------------------------------------------------------------------------

    def load(self, x: Rows, targets: Array, weight: Array) -> None:
        self._data = (x.arrays, targets, weight)

    def unload(self) -> None:
        self._data = ()

    @staticmethod
    def _array(value: Array, dtype: str) -> Tensor:
        # a copy: an engine may hold on to a NumPy array that somebody else changes
        return ops.convert_to_tensor(np.array(value, dtype=dtype))

    def _rows(self, arrays: Sequence[Array], rows: Array, seed: Array | None, n_stages: int | None = None) -> Tensor:
        """Return a dense batch, after what acts on rows in coordinates has acted, or its first stages."""
        x = self._network.input.gather(_host, arrays, rows, self._network.n_features)
        if self._network.input.sparse:
            prefix = self._engine.prefix.first(n_stages)
            context = None if seed is None else prefix.training_context(self._network.scalars(), seed)
            x = prefix.apply(_host, x, {}, context)
            x = x.dense(_host) if isinstance(x, SparseRows) else x
        return ops.convert_to_tensor(np.ascontiguousarray(x))

    def _batch(self, rows: Array, seed: Array | None) -> tuple[Tensor, Tensor, Tensor]:
        arrays, targets, weight = self._data
        return (
            self._rows(arrays, rows, seed), ops.convert_to_tensor(targets[rows]), ops.convert_to_tensor(weight[rows])
        )  # fmt: skip

    # -- computing ------------------------------------------------------------------------------------------------

    def train_epoch(self, plan: EpochPlan) -> float:
        total, mass = [], []
        with self.scope():
            decay = self._array(np.asarray(plan.weight_decay), self._network.dtype)
            clipping = {name: self._array(np.asarray(b), self._network.dtype) for name, b in plan.clipping.items()}
            for i, (size, rate) in enumerate(zip(plan.step_sizes, plan.learning_rates, strict=True)):
                seed = plan.seeds[i]
                self._weights, self._extras, self._slots, loss, m = self._engine.step(
                    self._weights, self._extras, self._slots, self._batch(plan.batch(i), seed),
                    ops.convert_to_tensor(seed), self._array(size, self._network.dtype),
                    self._array(rate * plan.weight_decay, self._network.dtype), decay, clipping,
                )  # fmt: skip
                total.append(loss)
                mass.append(m)
            self._step += plan.n_batches
            sums = [float(np.sum([ops.convert_to_numpy(v) for v in vs], dtype=np.float64)) for vs in (total, mass)]
        return sums[0] / sums[1] if sums[1] else 0.0

    def loss_and_gradient(self, weights: Arrays) -> tuple[float, Arrays]:
        n_rows, loss, mass = len(self._data[2]), 0.0, 0.0
        sums = {name: np.zeros_like(weights[name]) for name in self.trainable}
        with self.scope():
            self._weights = [self._array(weights[name], self._specs[name][1]) for name in self.trainable]
            for start in range(0, n_rows, GRADIENT_ROWS):
                rows = np.arange(start, min(start + GRADIENT_ROWS, n_rows))
                part, m, gradients = self._engine.gradient(self._weights, self._extras, self._batch(rows, None))
                loss += float(ops.convert_to_numpy(part))
                mass += float(ops.convert_to_numpy(m))
                for name, gradient in zip(self.trainable, gradients, strict=True):
                    sums[name] += ops.convert_to_numpy(gradient)
        mass = mass or 1.0
        return loss / mass, {name: value / mass for name, value in sums.items()}

    def forward(self, x: Rows, layer: int | None = None) -> Array:
        n_stages = None if layer is None else self._network.hidden[layer]
        rest = None if n_stages is None else n_stages - len(self._engine.prefix.stages)
        with self.scope():
            batches = (self._rows(x.arrays, rows, None, n_stages) for rows in _tiles(x.n_rows))
            scores = [self._engine.scores(self._weights, self._extras, batch, rest) for batch in batches]
            return np.concatenate([ops.convert_to_numpy(tile) for tile in scores])[: x.n_rows]

    def input_gradient(self, x: Rows) -> Array:
        network = self._network
        result = np.empty((x.n_rows, network.n_outputs, network.n_features), network.dtype)
        with self.scope():
            picks = [self._array(pick, network.dtype) for pick in np.eye(network.n_outputs)]
            for rows in _tiles(x.n_rows):
                batch = self._rows(x.arrays, rows, None, 0)
                for k, pick in enumerate(picks):
                    slopes = self._engine.slopes(self._weights, self._extras, batch, pick)
                    result[rows, k] = ops.convert_to_numpy(slopes)
        return result

    @property
    def native(self) -> Any:
        """A new ``keras.Model`` with the current weights, the caller's own from then on."""
        with self.scope():
            return self._source.public(self.get_state().weights)


def _is_float(array: Tensor) -> bool:
    return "float" in keras.backend.standardize_dtype(array.dtype)  # bfloat16, too


def _tiles(n_rows: int) -> Iterator[Array]:
    """Yield the rows of each tile; the last one is filled up with copies of the last row."""
    for start in range(0, n_rows, TILE_ROWS):
        yield np.minimum(np.arange(start, start + TILE_ROWS), n_rows - 1)
