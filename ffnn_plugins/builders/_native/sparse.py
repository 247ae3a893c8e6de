"""A model of very sparse rows: its first weights meet their stored entries alone, by kernels of their own."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ffnn._utils.threads import _n_threads
from ffnn.input import Input
from ffnn.kernels import sparse_products
from ffnn.kernels.csr import CSR
from ffnn.kernels.sparse_adam import AdamArrays, SparseAdam
from ffnn.kernels.threads import Threads
from ffnn.model import Array, Arrays, EpochPlan, Rows, State
from ffnn.network import Network
from ffnn.solver import Solver
from ffnn.solvers import Adam
from ffnn_plugins.builders._native.library import address
from ffnn_plugins.builders._native.model import NativeModel

__all__ = ["SparseAdamModel"]

#: From this number of features on, batches of stored entries may be faster than dense ones.
_WIDE = 10_000
#: Bytes of a batch of stored entries that make no difference.
_NO_MATTER = 2**28


def _prefers_stored(input: Input, n_features: int) -> bool:
    """Return whether batches of stored entries are asked for, or expected to be faster than dense ones."""
    if not input.sparse or input.batches != "auto":
        return input.sparse and input.batches == "stored"
    statistics = input.statistics_
    if statistics is None or n_features < _WIDE:
        return False
    places, stored = statistics.batch_size * n_features, statistics.batch_size * statistics.stored_per_row
    # nanoseconds of a step on two cores, and bytes of a batch, for each unit of the first layer
    faster = 0.045 * stored + 0.8 * statistics.features_met < 0.021 * places + 0.8 * n_features
    return faster and 50 * stored <= max(8 * places, _NO_MATTER)


class SparseAdamModel(NativeModel):
    """A network whose first product and the solver's step there are one pass of a kernel.

    That one takes weights as they are, a row a feature, and leaves the products of a batch; the rest of a step is a
    call for one batch. The rows that no batch meets wait for their steps until somebody looks at them.

    Parameters
    ----------
    network : Network
        The description.
    solver : Adam or AdamW
        What trains it.
    """

    path = "kernel"
    solver: Adam

    def __init__(self, network: Network, solver: Solver) -> None:
        super().__init__(network, solver)
        (self._first,) = network.by_feature
        self._rates = [op.native.factor for op in self._ops[: self._n_entry]]
        self._adam: SparseAdam | None = None
        # what waits is settled between epochs: another thread may predict meanwhile
        self._lock = threading.RLock()

    @staticmethod
    def takes(network: Network, solver: Solver) -> bool:
        """Return whether such a network goes this way."""
        plain = network.dtype == "float32" and network.compute_dtype is None
        if not (plain and len(network.by_feature) == 1 and _prefers_stored(network.input, network.n_features)):
            return False
        return SparseAdam.takes(solver) and sparse_products.is_there()

    @property
    def _n_entry(self) -> int:
        """The number of operations before the first weights."""
        return next(i for i, op in enumerate(self._ops) if op.native.weight)

    # -- state: the first weights are not in panels

    def _packed(self, name: str, array: Array) -> Array:
        return np.array(array, np.float32, order="C") if name == self._first else super()._packed(name, array)

    def _room(self, name: str, value: float = 0.0) -> Array:
        if name != self._first:
            return super()._room(name, value)
        return np.full(self.network.weights[name].shape, value, np.float32)

    def _unpacked(self, name: str, array: Array) -> Array:
        return array.copy() if name == self._first else super()._unpacked(name, array)

    def set_state(self, state: State) -> None:
        super().set_state(state)
        self._adam = None

    def get_state(self) -> State:
        with self._settled():
            return super().get_state()

    def is_finite(self) -> bool:
        with self._settled():
            return super().is_finite()

    @contextmanager
    def _settled(self) -> Iterator[None]:
        """Hold the lock with all rows up to date, so that no epoch begins."""
        with self._lock:
            self._settle()
            yield

    def _settle(self) -> None:
        """Take the steps that rows have waited for."""
        if self._adam is not None and self._adam.waiting:
            with Threads(_n_threads()) as threads:
                self._adam.settle(self._in_memory(), threads)

    def _in_memory(self) -> AdamArrays:
        return AdamArrays(self._weights[self._first], *self._slots[self._first])

    # -- training

    def load(self, x: Rows, targets: Array, weight: Array) -> None:
        super().load(x, targets, weight)
        self._x = x

    def unload(self) -> None:
        super().unload()
        self.__dict__.pop("_x", None)

    def train_epoch(self, plan: EpochPlan) -> float:
        if self._x.arrays[0].dtype != np.int32:
            raise ValueError(
                "X has more than 2**31 stored values, which builder='native' does not take at once. Use partial_fit on "
                "parts of it, or builder='tf'."
            )
        with self._lock:
            total, mass = self._train_epoch(plan, self._begun(plan))
        self._step += plan.n_batches
        return total / mass if mass else 0.0

    def _begun(self, plan: EpochPlan) -> SparseAdam:
        """Return the kernel, which has begun an epoch."""
        decays = self.trainable[self._first] and plan.weight_decay > 0
        shrinks = self.solver.decoupled
        if self._adam is None:
            self._adam = SparseAdam(self.solver, *self.network.weights[self._first].shape)
        if self._adam.is_full or (decays and not shrinks):
            self._settle()
        self._adam.begin(self._in_memory(), plan, decays=decays and not shrinks, shrinks=decays and shrinks)
        return self._adam

    def _train_epoch(self, plan: EpochPlan, adam: SparseAdam) -> tuple[float, float]:
        """Take the steps; return the sum of the losses and their mass."""
        fetch = functools.partial(self._fetch, adam, plan)
        total = mass = 0.0
        fetch(0)
        with Threads(_n_threads()) as threads:
            products = adam.advance(None, threads)
            for i in range(plan.n_batches):
                ahead = threads.beside(functools.partial(fetch, i + 1))
                assert products is not None  # of the batch that was fetched
                loss, m, slopes = self._rest_of_step(plan.steps(i, i + 1), products)
                total, mass = total + loss, mass + m
                ahead.result()
                products = adam.advance(slopes, threads)
        return total, mass

    def _fetch(self, adam: SparseAdam, plan: EpochPlan, i: int) -> None:
        """Give the kernel the batch of this number, if there is one, after dropout."""
        if i >= plan.n_batches:
            return
        rows, x = plan.batch(i).astype(np.int32, copy=False), CSR(*self._x.arrays)
        if not self._rates:
            adam.fetch(x, rows)
            return
        counts = x.splits[rows + 1] - x.splits[rows]
        splits = np.zeros(len(rows) + 1, np.int32)
        np.cumsum(counts, out=splits[1:])
        entries = np.repeat(x.splits[rows] - splits[:-1], counts) + np.arange(splits[-1], dtype=np.int32)
        batch = CSR(splits, x.columns[entries], x.values[entries])
        for k, rate in enumerate(self._rates):
            seed = np.array([plan.seeds[i, 0], plan.seeds[i, 1] + k], np.int32)
            self._library.drop(splits, batch.columns, batch.values, self.network.n_features, rate, seed)
        adam.fetch(batch)

    def _rest_of_step(self, plan: EpochPlan, products: Array) -> tuple[float, float, Array]:
        """Take a step in all other weights; return the loss, its mass, and its slopes at the products."""
        assert self._data is not None  # loaded by whoever trains
        products = np.ascontiguousarray(products)
        slopes = np.empty_like(products)
        self._data.products, self._data.slopes = address(products), address(slopes)
        argument, _kept = self._plan(plan)
        loss, mass = self._library.train(self._network, self._data, argument, 1)
        self._data.products = None
        return loss, mass, slopes

    def loss_and_gradient(self, weights: Arrays) -> tuple[float, Arrays]:
        found: tuple[float, Arrays] = self._by_twin(lambda twin: twin.loss_and_gradient(weights))
        for name in self.trainable if self._weights else ():
            self._weights[name][:] = self._packed(name, weights[name])
        return found

    def _by_twin(self, function: Callable[[NativeModel], Any]) -> Any:
        """Return what a model of dense batches says."""
        twin = NativeModel(self.network, self.solver)
        if self._weights:
            twin.set_state(self.get_state())
        twin._data, twin._loaded, twin._n_rows = self._data, self._loaded, self._n_rows
        return function(twin)

    # -- predictions

    def forward(self, x: Rows, layer: int | None = None) -> Array:
        n_stages = self._n_stages(layer)
        if n_stages <= self._n_entry or x.arrays[0].dtype != np.int32:
            return np.asarray(self._by_twin(lambda twin: twin.forward(x, layer)))
        weight = self._weights[self._first]
        products = np.empty((x.n_rows, weight.shape[1]), np.float32)
        values = np.empty((x.n_rows, self._ops[n_stages - 1].n_outputs), np.float32)
        data, _kept = self._rows(x)
        data.products = address(products)
        with self._settled():
            sparse_products.multiply(CSR(*x.arrays), weight, products, _n_threads() if x.n_rows > 64 else 1)
            self._library.forward(self._network, data, x.n_rows, n_stages, values)
        return values

    def input_gradient(self, x: Rows) -> Array:
        return np.asarray(self._by_twin(lambda twin: twin.input_gradient(x)))
