"""The model for very sparse rows, whose first weight is multiplied with the stored entries by other kernels."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ffnn._utils.threads import _n_threads
from ffnn.builders._sparse_path import paths_for
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


class SparseAdamModel(NativeModel):
    """A network whose first weight is trained by :class:`~ffnn.kernels.sparse_adam.SparseAdam`.

    That kernel takes the weight row by row, and returns the products of a batch; the rest of a step is a call of the
    library for one batch. Rows that batches do not touch postpone their steps until the weights are read.

    Parameters
    ----------
    network : Network
        The description.
    solver : Adam or AdamW
        The solver.
    """

    path = "kernel"
    solver: Adam

    def __init__(self, network: Network, solver: Solver) -> None:
        super().__init__(network, solver)
        (self._first,) = network.by_feature
        self._rates = [op.native.factor for op in self._ops[: self._n_entry]]
        self._adam: SparseAdam | None = None
        # another thread may predict between epochs, and so settle postponed steps
        self._lock = threading.RLock()

    @staticmethod
    def takes(network: Network, solver: Solver) -> bool:
        """Return whether this model can train the network, and is expected to be the fastest."""
        plain = network.dtype == "float32" and network.compute_dtype is None
        if not plain or len(network.by_feature) != 1 or paths_for(network.input, network.n_features)[0] != "kernel":
            return False
        return SparseAdam.takes(solver) and sparse_products.is_there()

    @property
    def _n_entry(self) -> int:
        """The number of operations before the first weights."""
        return next(i for i, op in enumerate(self._ops) if op.native.weight)

    # -- state: the first weight is not in panels

    def _packed(self, name: str, array: Array) -> Array:
        return np.array(array, np.float32, order="C") if name == self._first else super()._packed(name, array)

    def _filled(self, name: str, value: float = 0.0) -> Array:
        if name != self._first:
            return super()._filled(name, value)
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
        """Bring all rows up to date, and hold the lock so that no epoch begins."""
        with self._lock:
            self._settle()
            yield

    def _settle(self) -> None:
        """Take the postponed steps of all rows."""
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
            total, total_weight = self._train_epoch(plan, self._begun(plan))
        self._step += plan.n_batches
        return total / total_weight if total_weight else 0.0

    def _begun(self, plan: EpochPlan) -> SparseAdam:
        """Return the kernel, after it has begun an epoch."""
        decays = self.trainable[self._first] and plan.weight_decay > 0
        shrinks = self.solver.decoupled
        if self._adam is None:
            self._adam = SparseAdam(self.solver, *self.network.weights[self._first].shape)
        if self._adam.is_full or (decays and not shrinks):
            self._settle()
        self._adam.begin(self._in_memory(), plan, decays=decays and not shrinks, shrinks=decays and shrinks)
        return self._adam

    def _train_epoch(self, plan: EpochPlan, adam: SparseAdam) -> tuple[float, float]:
        """Take the steps; return the sum of the losses and their total weight."""
        fetch = functools.partial(self._fetch, adam, plan)
        total = total_weight = 0.0
        fetch(0)
        with Threads(_n_threads()) as threads:
            products = adam.advance(None, threads)
            for i in range(plan.n_batches):
                ahead = threads.beside(functools.partial(fetch, i + 1))
                assert products is not None  # of the batch that was fetched
                loss, weight, gradients = self._rest_of_step(plan.steps(i, i + 1), products)
                total, total_weight = total + loss, total_weight + weight
                ahead.result()
                products = adam.advance(gradients, threads)
        return total, total_weight

    def _fetch(self, adam: SparseAdam, plan: EpochPlan, i: int) -> None:
        """Pass batch ``i`` to the kernel, after dropout, if there is such a batch."""
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
        """Update all other weights; return the loss, its total weight, and the gradients at the products."""
        assert self._data is not None  # load() comes first
        products = np.ascontiguousarray(products)
        gradients = np.empty_like(products)
        self._data.products, self._data.gradients = address(products), address(gradients)
        loss, total_weight = self._library.train(self._network, self._data, self._plan.of(plan), 1)
        self._data.products = None
        return loss, total_weight, gradients

    def loss_and_gradient(self, weights: Arrays) -> tuple[float, Arrays]:
        found: tuple[float, Arrays] = self._by_twin(lambda twin: twin.loss_and_gradient(weights))
        for name in self.trainable if self._weights else ():
            self._weights[name][:] = self._packed(name, weights[name])
        return found

    def _by_twin(self, function: Callable[[NativeModel], Any]) -> Any:
        """Return the result of a function of the same model with dense batches."""
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
