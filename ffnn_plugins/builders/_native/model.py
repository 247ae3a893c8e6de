"""A network's model in compiled kernels: one fit's weights, in panels, and calls into C."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np

from ffnn._utils.threads import _n_threads
from ffnn.builders._state import check_weights
from ffnn.model import Array, Arrays, EpochPlan, Rows, State
from ffnn.network import Network
from ffnn.solver import Solver
from ffnn_plugins.builders._native import library
from ffnn_plugins.builders._native.library import Library, address
from ffnn_plugins.builders._native.network import FUNCTIONS, KINDS, loss_of, ops_of, solver_of
from ffnn_plugins.builders._native.panels import packed, packed_like, pieces, unpacked
from ffnn_plugins.builders._native.plan import PlanArguments

__all__ = ["NativeModel"]

#: The number of multiplications of a step from which several threads share it; below, waiting costs more than it saves.
_WORTH_THREADS = 2e7
#: The number of multiplications of a call, some tenths of a second: Python sees Ctrl-C between two calls only.
_AT_ONCE = 5e9


def _sum_of_squares(array: Array) -> float:
    """Return a sum that is not finite if a square is not, and may be so where the squares are."""
    flat = array.reshape(-1)
    return float(np.dot(flat, flat))


class NativeModel:
    """A network that compiled kernels train.

    Parameters
    ----------
    network : Network
        The description.
    solver : Solver
        The solver.

    Raises
    ------
    UnsupportedError
        If the kernels lack one of its layers, its loss or the solver.
    """

    #: How a batch of sparse rows meets the first weights.
    path: ClassVar[str] = "dense"

    def __init__(self, network: Network, solver: Solver) -> None:
        self.network = network
        self.solver = solver
        self.trainable = {name: weight.decays for name, weight in network.trained.items()}
        self._library = Library.of(network.dtype)
        self._ops = ops_of(network)
        self._stages = (library.Stage * len(self._ops))()
        for stage, op in zip(self._stages, self._ops, strict=True):
            native = op.native
            stage.kind = KINDS.index(native.kind)
            stage.function = FUNCTIONS.index(native.function) if native.function else 0
            stage.n_inputs, stage.n_outputs, stage.n_random = op.n_inputs, op.n_outputs, op.n_random
            stage.factor, stage.bias_rate = native.factor, native.bias_rate
        loss, step = loss_of(network), solver_of(solver, network.dtype)
        self._network = library.Network(len(self._ops), network.n_features, self._stages, loss, step)
        products = sum(op.n_inputs * op.n_outputs for op in self._ops if op.native.kind == "affine")
        self._work = 3.0 * products  # of a step, per row
        # by the names of the weights
        self._weights: Arrays = {}
        self._slots: dict[str, list[Array]] = {}
        self._gradients: Arrays = {}
        self._step = 0
        self._plan = PlanArguments(solver.decoupled)
        self._data: library.Data | None = None
        self._loaded: list[Any] = []  # the arrays that the data points to
        self._n_rows = 0

    # -- state

    def initial_weights(self, rng: np.random.Generator) -> Arrays:
        return self.network.initial_weights(rng)

    def set_state(self, state: State) -> None:
        check_weights(state.weights, {name: weight.shape for name, weight in self.network.weights.items()})
        self._weights = {name: self._packed(name, array) for name, array in state.weights.items()}
        self._slots = {
            name: [
                self._packed(name, state.slots[f"{name}/{slot}"]) if state.slots else self._filled(name, value)
                for slot, value in self._initial_slots.items()
            ]
            for name in self.trainable
        }
        self._gradients = {}
        self._step = state.step
        self._point()

    @property
    def _initial_slots(self) -> Mapping[str, float]:
        return self.solver.slots

    def _packed(self, name: str, array: Array) -> Array:
        return packed(array, self.network.dtype, self._library.panel)

    def _filled(self, name: str, value: float = 0.0) -> Array:
        return packed_like(self.network.weights[name].shape, self.network.dtype, self._library.panel, value)

    def _unpacked(self, name: str, array: Array) -> Array:
        return unpacked(array, self.network.weights[name].shape)

    def _point(self) -> None:
        """Set the pointers of the stages to their weights."""
        for stage, op in zip(self._stages, self._ops, strict=True):
            for weight, name in ((stage.weight, op.native.weight), (stage.bias, op.native.bias)):
                if not name:
                    continue
                value = address(self._weights[name])
                slots = [address(slot) for slot in self._slots[name]]
                weight.value = value
                weight.slot_0, weight.slot_1 = [*slots, value, value][:2]  # a valid pointer, though it is not read
                weight.gradient = address(self._gradients[name]) if self._gradients else None
                weight.decays = self.trainable[name]

    def _keep_gradients(self) -> None:
        """Allocate the gradients, or set them to zero."""
        for name in self.trainable:
            if name in self._gradients:
                self._gradients[name][:] = 0
            else:
                self._gradients[name] = self._filled(name)
        self._point()

    def get_state(self) -> State:
        weights = {name: self._unpacked(name, array) for name, array in self._weights.items()}
        slots = {
            f"{name}/{slot}": self._unpacked(name, array)
            for name, arrays in self._slots.items()
            for slot, array in zip(self._initial_slots, arrays, strict=True)
        }
        return State(weights, slots, self._step)

    def get_step(self) -> int:
        return self._step

    def is_finite(self) -> bool:
        weights = self._pieces((name, [self._weights[name]]) for name in self.trainable)
        extras = self._pieces((name, [a]) for name, a in self._weights.items() if name not in self.trainable)
        with np.errstate(over="ignore", invalid="ignore"):
            everything = itertools.chain(self._weights.values(), *self._slots.values())
            if math.isfinite(sum(_sum_of_squares(array) for array in everything)):
                return True  # as nearly always, in one pass
            arrays = itertools.chain(map(np.square, weights), extras, self._pieces(self._slots.items()))
            return all(bool(np.isfinite(array).all()) for array in arrays)

    def _pieces(self, named: Iterable[tuple[str, Iterable[Array]]]) -> Iterator[Array]:
        """Yield the pieces of arrays with the shapes of the named weights."""
        for name, arrays in named:
            for array in arrays:
                yield from pieces(array, self.network.weights[name].shape)

    # -- data

    def load(self, x: Rows, targets: Array, weight: Array) -> None:
        self._data, self._loaded = self._rows(x)
        classes = targets.ndim == 1
        targets = np.ascontiguousarray(targets, np.int32 if classes else self.network.dtype)
        weight = np.ascontiguousarray(weight, self.network.dtype)
        self._data.targets, self._data.weight = address(targets), address(weight)
        self._data.n_targets = 1 if classes else targets.shape[1]
        self._loaded += [targets, weight]
        self._n_rows = x.n_rows

    def unload(self) -> None:
        self._data, self._loaded = None, []

    def _rows(self, x: Rows) -> tuple[library.Data, list[Any]]:
        """Return rows for C, without a copy if possible, and the arrays that must be kept alive."""
        data = library.Data()
        if self.network.input.sparse:
            splits, columns, values = (np.ascontiguousarray(array) for array in x.arrays)
            data.splits, data.columns, data.values = address(splits), address(columns), address(values)
            data.wide = splits.dtype.itemsize == 8
            return data, [splits, columns, values]
        (dense,) = x.arrays
        size = dense.itemsize
        if not dense.flags.aligned or any(stride % size for stride in dense.strides):
            dense = np.ascontiguousarray(dense)
        data.x = address(dense)
        data.row_stride, data.column_stride = (stride // size for stride in dense.strides)
        return data, [dense]

    # -- training

    def train_epoch(self, plan: EpochPlan) -> float:
        assert self._data is not None  # load() comes first
        if plan.clip_norm is not None and not self._gradients:
            self._keep_gradients()
        work = min(plan.batch_size, len(plan.order)) * self._work
        n_threads = _n_threads() if work >= _WORTH_THREADS else 1
        n_steps = max(1, int(_AT_ONCE / max(work, 1.0)))
        parts = (plan.steps(i, i + n_steps) for i in range(0, plan.n_batches, n_steps))
        sums = 0.0, 0.0
        for part in [plan] if plan.n_batches <= n_steps else parts:
            sums = self._library.train(self._network, self._data, self._plan.of(part), n_threads, sums)
        self._step += plan.n_batches
        return sums[0] / sums[1] if sums[1] else 0.0

    def loss_and_gradient(self, weights: Arrays) -> tuple[float, Arrays]:
        assert self._data is not None  # load() comes first
        if not self._weights:
            zeros = {name: np.zeros(weight.shape) for name, weight in self.network.weights.items()}
            self.set_state(State({**zeros, **weights}))
        for name in self.trainable:
            packed(weights[name], self.network.dtype, self._library.panel, into=self._weights[name])
        self._keep_gradients()
        total, total_weight = self._library.add_gradient(self._network, self._data, self._n_rows)
        total_weight = total_weight or 1.0
        return total / total_weight, {
            name: self._unpacked(name, g) / total_weight for name, g in self._gradients.items()
        }

    # -- predictions

    def forward(self, x: Rows, layer: int | None = None) -> Array:
        n_stages = self._n_stages(layer)
        width = self._ops[n_stages - 1].n_outputs if n_stages else self.network.n_features
        values = np.empty((x.n_rows, width), self.network.dtype)
        data, _kept = self._rows(x)
        self._by_parts(
            data,
            x.n_rows,
            self._work,
            lambda part, end: self._library.forward(self._network, part, end, n_stages, values),
        )
        return values

    @staticmethod
    def _by_parts(data: library.Data, n_rows: int, work: float, function: Callable[[library.Data, int], None]) -> None:
        """Call ``function(part, end)`` for all rows, or for parts of many rows in several threads.

        A part has the rows from ``part.first`` to ``end``.
        """
        n = int(n_rows * work / _WORTH_THREADS)
        n = min(_n_threads(), n) if n > 1 else 1  # asking takes nearly as long as one row
        bounds = [n_rows * i // n for i in range(n + 1)]
        parts = [library.Data.from_buffer_copy(data) for _ in range(n)]
        for part, start in zip(parts, bounds, strict=False):
            part.first = start
        if n == 1:
            function(parts[0], n_rows)
            return
        with ThreadPoolExecutor(n - 1) as others:
            rest = [others.submit(function, *each) for each in zip(parts[1:], bounds[2:], strict=True)]
            function(parts[0], bounds[1])
            for each in rest:
                each.result()

    def _n_stages(self, layer: int | None) -> int:
        """Return the number of operations up to the end of a hidden layer, or of all operations for None."""
        last = len(self.network.stages) if layer is None else self.network.hidden[layer]
        return sum(op.stage < last for op in self._ops)

    def input_gradient(self, x: Rows) -> Array:
        network = self.network
        values = np.empty((x.n_rows, network.n_outputs, network.n_features), network.dtype)
        data, _kept = self._rows(x)
        self._by_parts(
            data,
            x.n_rows,
            self._work * network.n_outputs,
            lambda part, end: self._library.input_gradients(self._network, part, end, values),
        )
        return values

    def describe(self) -> dict[str, Any]:
        """Return how the model computes: ``builder``, the ``path`` of batches, the ``instructions`` of the kernels."""
        return {"builder": "native", "path": self.path, "instructions": self._library.instructions}

    @property
    def native(self) -> Any:
        """The model itself."""
        return self
