"""Epochs in which a compiled kernel computes the first product and trains the first weight; TensorFlow does the rest.

TensorFlow has no operation that goes through sparse rows feature by feature, computes the gradient of one row of the
weight and updates that row at once. The kernel does: a step reads the weight and its slots from memory once, makes
neither a dense batch nor a gradient of the whole weight, and computes with the stored entries only. TensorFlow takes
the kernel's product and returns the gradient of the loss with respect to it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from ffnn.builders._forward import StepInputs
from ffnn.builders._state import Variables
from ffnn.builders._tensorflow import ops
from ffnn.builders._tensorflow.data.batches import Batches, Data
from ffnn.builders._tensorflow.data.training_data import EpochPart
from ffnn.builders._tensorflow.epoch.gradients import batch_gradients
from ffnn.builders._tensorflow.epoch.runner import EpochRunner, plan_tensors
from ffnn.builders._tensorflow.epoch.solver_step import SolverStep, rates_at
from ffnn.builders._tensorflow.first_product import forward_from_product
from ffnn.builders._tensorflow.forward import Architecture
from ffnn.builders._tensorflow.host import n_threads
from ffnn.builders._tensorflow.memory import memory_of, view_of
from ffnn.builders._tensorflow.traced import TracedFunction
from ffnn.input import Input
from ffnn.kernels.csr import CSR
from ffnn.kernels.sparse_adam import AdamArrays, SparseAdam
from ffnn.kernels.threads import Threads
from ffnn.model import EpochPlan, Rows
from ffnn.ops import Tensor
from ffnn.solver import Solver, clipped
from ffnn.solvers import Adam

if TYPE_CHECKING:
    from ffnn.network import Network

__all__ = ["KernelRunner"]


class KernelRunner(EpochRunner[SparseAdam]):
    """Runs an epoch as a loop of kernel passes and calls into TensorFlow.

    Each step is a pass of :class:`~ffnn.kernels.sparse_adam.SparseAdam` and a call into TensorFlow.

    Parameters
    ----------
    architecture : Architecture
        The network.
    solver : Adam or AdamW
        The solver.
    batches : Batches
        The maker of sparse batches.
    k : int
        The position of the one trained weight with a row per feature.
    """

    def __init__(self, architecture: Architecture, solver: Adam, batches: Batches, k: int) -> None:
        self._architecture = architecture
        self._network = architecture.network
        self._solver = solver
        self._solver_step = SolverStep(solver)
        self._decays = tuple(architecture.decays.values())
        self._batches = batches
        self._k = k
        # whether rows go from the data set to the kernel unchanged, as they do without dropout
        self._unchanged = all(type(stage.layer).forward is Input.forward for stage in batches.entry.stages)
        self._enter = TracedFunction(self._entered)
        self._train_rest = TracedFunction(self._step_in_rest, sequential=True)

    @staticmethod
    def takes(network: Network, solver: Solver, by_feature: Sequence[int]) -> bool:
        """Return whether this runner can train the network on this machine."""
        plain = network.dtype == "float32" and network.compute_dtype is None
        on_cpu = not tf.config.list_logical_devices("GPU")
        return plain and len(by_feature) == 1 and on_cpu and SparseAdam.takes(solver)

    def memory(self) -> SparseAdam:
        (weight,) = (self._network.trained[name] for name in self._network.by_feature)
        return SparseAdam(self._solver, *weight.shape)

    def on_host(self, x: Rows) -> bool:
        return self._unchanged and x.arrays[0].dtype == np.int32

    def defers(self, weight_decay: float) -> bool:
        return self._solver.decoupled or not (weight_decay and self._decays[self._k])

    def begin_epoch(self, variables: Variables, plan: EpochPlan, memory: SparseAdam) -> None:
        shrinks = plan.weight_decay > 0 and self._solver.decoupled and self._decays[self._k]
        if memory.is_full:
            self.settle(variables, memory)
        arrays = self._adam_arrays(variables)
        memory.begin(arrays, plan, decays=not self.defers(plan.weight_decay), shrinks=shrinks)

    def train(self, variables: Variables, part: EpochPart, scalars: Any, memory: SparseAdam) -> tuple[float, float]:
        plan, data, _ = part  # never padded
        total = total_weight = 0.0
        tensors = plan_tensors(plan, self._network.dtype)
        rest = variables.without(self._k)
        memory.hold(self._adam_arrays(variables))
        fetch = self._fetcher(memory, data, scalars, plan, tensors)
        fetch(0)
        with Threads(n_threads()) as threads:
            product = memory.advance(None, threads)
            for i in range(plan.n_batches):
                ahead = threads.beside(functools.partial(fetch, i + 1))
                step = ((data.targets, data.weight), scalars, tensors, tf.constant(i), tf.constant(product))
                loss, weight, gradient = self._train_rest((rest,), step)
                total, total_weight = total + float(loss), total_weight + float(weight)
                ahead.result()
                product = memory.advance(view_of(gradient), threads)
        return total, total_weight

    def _fetcher(
        self, memory: SparseAdam, data: Data, scalars: Tensor, plan: EpochPlan, tensors: Mapping[str, Any]
    ) -> Callable[[int], None]:
        """Return a function that passes batch ``i`` to the kernel, if there is such a batch."""
        order = plan.order.astype(np.int32, copy=False)

        def fetch(i: int) -> None:
            if i >= plan.n_batches:
                return
            if isinstance(data.arrays[0], np.ndarray):
                memory.fetch(CSR(*data.arrays), order[i * plan.batch_size : (i + 1) * plan.batch_size])
            else:
                memory.fetch(CSR(*map(view_of, self._enter((), (data, scalars, tensors, tf.constant(i))))))

        return fetch

    def settle(self, variables: Variables, memory: SparseAdam) -> None:
        if memory.waiting:
            with Threads(n_threads()) as threads:
                memory.settle(self._adam_arrays(variables), threads)

    def _adam_arrays(self, variables: Variables) -> AdamArrays:
        """Return the memory of the variables in which the kernel steps."""
        return AdamArrays(*map(memory_of, (variables.weights[self._k], *variables.slots[self._k])))

    # -- traced ---------------------------------------------------------------------------------------------------

    def _rows(self, plan: Mapping[str, Any], i: Tensor) -> Tensor:
        return plan["order"][i * plan["batch_size"] : (i + 1) * plan["batch_size"]]

    def _entered(self, data: Data, scalars: Tensor, plan: Mapping[str, Any], i: Tensor) -> tuple[Tensor, ...]:
        """Return the CSR arrays of a batch after the entry stages."""
        seed = tf.gather(plan["seeds"], i)
        splits, columns, values = self._batches.take(data, self._rows(plan, i), scalars, seed).arrays
        return tf.cast(splits, tf.int32), tf.cast(columns, tf.int32), values

    def _step_in_rest(
        self,
        rest: Variables,
        truth: tuple[Tensor, Tensor],
        scalars: Tensor,
        plan: Mapping[str, Any],
        i: Tensor,
        product: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Update all other weights; return the loss, its total weight, and its gradient with respect to the product."""
        k, rows = self._k, self._rows(plan, i)
        targets, weight = (tf.gather(array, rows) for array in truth)
        training = StepInputs(scalars, tf.gather(plan["seeds"], i), weight)
        loss, total_weight, gradients, extras = batch_gradients(
            self._network.output,
            lambda: forward_from_product(
                self._architecture, k, product=product, weights=rest.weights, extras=rest.extras, training=training
            ),
            sources=[*rest.weights[:k], product, *rest.weights[k:]],
            targets=targets,
            weight=weight,
        )
        of_product = gradients.pop(k)  # the kernel clips the gradient that it computes from it
        gradients = clipped(ops, gradients, self._network.dtype, **plan["clipping"])
        rates = rates_at(plan, i)
        decays = [*self._decays[:k], *self._decays[k + 1 :]]
        for variable, slots, gradient, decays_here in zip(rest.weights, rest.slots, gradients, decays, strict=True):
            self._solver_step.assign(variable, slots, gradient, rates, decays_here and rates.decay is not None)
        for extra, value in zip(rest.extras, extras, strict=True):
            extra.assign(value)
        return tf.cast(loss, tf.float64), tf.cast(total_weight, tf.float64), of_product
