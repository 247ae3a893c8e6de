"""An epoch whose first product and its solver's step are one pass of a compiled kernel; TensorFlow does the rest.

TensorFlow has no operation that goes through sparse rows by features, forms the gradient of one row of the weights and
steps in it at once. With one, a step moves the weights and their slots once through memory, makes no dense batch and no
gradient, and computes what is stored. Its products go to TensorFlow, which returns the slopes of the loss there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from ffnn.builders._tensorflow import ops
from ffnn.builders._tensorflow.batches import Batches
from ffnn.builders._tensorflow.compiled import Filling
from ffnn.builders._tensorflow.epoch import Epoch, Forward, at_step
from ffnn.builders._tensorflow.host import n_threads
from ffnn.builders._tensorflow.memory import memory_of, view_of
from ffnn.builders._tensorflow.products import Products
from ffnn.builders._tensorflow.steps import Steps, arguments_of
from ffnn.builders._tensorflow.traced import Traced
from ffnn.input import Input
from ffnn.kernels.csr import CSR
from ffnn.kernels.sparse_adam import Slots, SparseAdam
from ffnn.kernels.threads import Threads
from ffnn.model import EpochPlan, Rows
from ffnn.solver import Solver, clipped
from ffnn.solvers import Adam

if TYPE_CHECKING:
    from ffnn.network import Network

__all__ = ["FusedSteps"]

Tensor = Any


class FusedSteps(Steps[SparseAdam]):
    """Epochs of which each step is a pass of :class:`~ffnn.kernels.sparse_adam.SparseAdam` and a call into TensorFlow.

    Parameters
    ----------
    network : Network
        The description.
    solver : Adam or AdamW
        What takes the steps.
    decays : sequence of bool
        Whether weight decay acts on each trained weight, where there is any.
    forward : callable
        As in :class:`ffnn.builders._tensorflow.program.Program`.
    batches : Batches
        What makes the batches, of stored entries.
    by_feature : int
        The one trained weight that has a row a feature.
    """

    def __init__(
        self, network: Network, solver: Adam, decays: Sequence[bool], forward: Forward, batches: Batches,
        by_feature: int,
    ) -> None:  # fmt: skip
        self._network = network
        self._solver = solver
        self._decays = tuple(decays)
        self._batches = batches
        self._k = by_feature
        self._rest = Epoch(network, solver, decays, forward, batches, [])
        # what has no dropout, say, goes from the data set to the kernel
        self._as_it_is = all(type(stage.layer).forward is Input.forward for stage in batches.entry.stages)
        self._taken = Traced(self._take)
        self._between = Traced(self._go_between, in_turn=True)

    @staticmethod
    def takes(network: Network, solver: Solver, by_feature: Sequence[int]) -> bool:
        """Return whether the epochs of a network can go this way, here."""
        plain = network.dtype == "float32" and network.compute_dtype is None
        on_cpu = not tf.config.list_logical_devices("GPU")
        return plain and len(by_feature) == 1 and on_cpu and SparseAdam.takes(solver)

    def memory(self) -> SparseAdam:
        (weight,) = (self._network.trained[name] for name in self._network.by_feature)
        return SparseAdam(self._solver, *weight.shape)

    def on_host(self, x: Rows) -> bool:
        # where they go to the kernel as they are
        return self._as_it_is and x.arrays[0].dtype == np.int32

    def waits(self, weight_decay: float) -> bool:
        return self._solver.decoupled or not (weight_decay and self._decays[self._k])

    def begin_epoch(self, weights: list[Any], slots: list[list[Any]], plan: EpochPlan, memory: SparseAdam) -> None:
        k, shrinks = self._k, plan.weight_decay > 0 and self._solver.decoupled and self._decays[self._k]
        if memory.is_full:
            self.settle(weights, slots, memory)
        memory.begin(_in_memory(weights[k], slots[k]), plan, decays=not self.waits(plan.weight_decay), shrinks=shrinks)

    def train_epoch(
        self, weights: list[Any], extras: list[Any], slots: list[list[Any]], data: tuple[Any, ...], scalars: Any,
        plan: EpochPlan, memory: SparseAdam, filling: Filling | None = None,
    ) -> tuple[float, float]:  # fmt: skip
        adam, k, total, mass = memory, self._k, 0.0, 0.0
        decay_on = plan.weight_decay > 0
        arguments = arguments_of(plan, self._network.dtype)
        variables = ([*weights[:k], *weights[k + 1 :]], extras, [*slots[:k], *slots[k + 1 :]])
        adam.hold(_in_memory(weights[k], slots[k]))
        fetch = self._fetching(adam, data, scalars, plan, arguments)
        fetch(0)
        with Threads(n_threads()) as threads:
            products = adam.advance(None, threads)
            for i in range(plan.n_batches):
                ahead = threads.beside(functools.partial(fetch, i + 1))
                step = (data[1:], scalars, arguments, tf.constant(i), tf.constant(products))
                loss, m, slopes = self._between(variables, step, decay_on)
                total, mass = total + float(loss), mass + float(m)
                ahead.result()
                products = adam.advance(view_of(slopes), threads)
        return total, mass

    def _fetching(
        self, adam: SparseAdam, data: tuple[Any, ...], scalars: Tensor, plan: EpochPlan, arguments: Mapping[str, Any]
    ) -> Callable[[int], None]:
        """Return what fetches a batch by its number, if there is such a batch."""
        arrays, *_ = data
        order = plan.order.astype(np.int32, copy=False)

        def fetch(i: int) -> None:
            if i >= plan.n_batches:
                return
            if isinstance(arrays[0], np.ndarray):
                adam.fetch(CSR(*arrays), order[i * plan.batch_size : (i + 1) * plan.batch_size])
            else:
                adam.fetch(CSR(*map(view_of, self._taken((), (data, scalars, arguments, tf.constant(i))))))

        return fetch

    def settle(self, weights: list[Any], slots: list[list[Any]], memory: SparseAdam) -> None:
        if memory.waiting:
            with Threads(n_threads()) as threads:
                memory.settle(_in_memory(weights[self._k], slots[self._k]), threads)

    # -- traced ---------------------------------------------------------------------------------------------------

    def _rows(self, plan: Mapping[str, Any], i: Tensor) -> Tensor:
        return plan["order"][i * plan["batch_size"] : (i + 1) * plan["batch_size"]]

    def _take(self, data: tuple[Any, ...], scalars: Tensor, plan: Mapping[str, Any], i: Tensor) -> tuple[Tensor, ...]:
        """Return a batch that has gone through the network's first stages."""
        seed = tf.gather(plan["seeds"], i)
        splits, columns, values = self._batches.take(data, self._rows(plan, i), scalars, seed)[0]
        return tf.cast(splits, tf.int32), tf.cast(columns, tf.int32), values

    def _go_between(
        self, weights: list[Any], extras: list[Any], slots: list[list[Any]], truth: tuple[Tensor, Tensor],
        scalars: Tensor, plan: Mapping[str, Any], i: Tensor, products: Tensor, decay_on: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Take a step in all other weights; return the loss, its mass, and its slopes at the products."""
        k, rows = self._k, self._rows(plan, i)
        x = Products(products, self._network.n_features)
        y, w = (tf.gather(array, rows) for array in truth)
        loss, mass, gradients, updates = self._rest.gradients(
            [*weights[:k], x.weight, *weights[k:]], extras, x, y, w, scalars,
            tf.gather(plan["seeds"], i), sources=[*weights[:k], products, *weights[k:]],
        )  # fmt: skip
        slopes = gradients.pop(k)  # which the kernel clips
        gradients = clipped(ops, gradients, self._network.dtype, **plan["clipping"])
        plan = at_step(plan, i)
        decays = [decay_on and decays_here for decays_here in [*self._decays[:k], *self._decays[k + 1 :]]]
        for weight, of_weight, gradient, decays_here in zip(weights, slots, gradients, decays, strict=True):
            self._rest.update(weight, of_weight, gradient, plan, decays_here)
        for extra, value in zip(extras, updates, strict=True):
            extra.assign(value)
        return tf.cast(loss, tf.float64), tf.cast(mass, tf.float64), slopes


def _in_memory(weight: Any, slots: Sequence[Any]) -> Slots:
    return Slots(*map(memory_of, (weight, *slots)))
