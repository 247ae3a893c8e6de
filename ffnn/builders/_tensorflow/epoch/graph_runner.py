"""Epochs run by TensorFlow alone, as a traced graph or compiled by XLA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from ffnn.builders._state import Variables
from ffnn.builders._tensorflow.data.batches import Batches
from ffnn.builders._tensorflow.data.padding import padded_plan
from ffnn.builders._tensorflow.data.training_data import EpochPart
from ffnn.builders._tensorflow.epoch.compiling import is_worth_compiling
from ffnn.builders._tensorflow.epoch.loop import EpochLoop
from ffnn.builders._tensorflow.epoch.packed import PackedLayout, PackedVariables
from ffnn.builders._tensorflow.epoch.runner import EpochRunner, plan_tensors
from ffnn.builders._tensorflow.epoch.touched import PendingRows, catch_up
from ffnn.builders._tensorflow.forward import Architecture
from ffnn.builders._tensorflow.traced import TracedFunction
from ffnn.lazy_rows import LazyRows
from ffnn.model import EpochPlan
from ffnn.ops import Tensor
from ffnn.solver import StochasticSolver

__all__ = ["GraphRunner"]

GraphMemory = PendingRows | PackedVariables | None


class _Epoch(NamedTuple):
    """An epoch with or without weight decay, as a loop and as traced functions."""

    loop: EpochLoop
    traced: TracedFunction
    compiled: TracedFunction


class GraphRunner(EpochRunner[GraphMemory]):
    """Runs an epoch as one call into TensorFlow.

    Parameters
    ----------
    architecture : Architecture
        The network.
    solver : StochasticSolver
        The solver.
    batches : Batches
        The maker of batches.
    by_feature : sequence of int
        The positions of the trained weights with one row per feature; empty unless batches are sparse.
    layout : PackedLayout or None
        The layout of all weights in one variable, if they are packed.
    """

    def __init__(
        self,
        architecture: Architecture,
        solver: StochasticSolver,
        batches: Batches,
        by_feature: Sequence[int],
        layout: PackedLayout | None,
    ) -> None:
        self._network = architecture.network
        self._layout = layout
        self._by_feature = tuple(by_feature)
        self._may_compile = architecture.may_pad
        self._epochs: dict[bool, _Epoch] = {}  # by whether there is weight decay
        for decay_on in (False, True):
            decays = [decay_on and decays_here for decays_here in architecture.decays.values()]
            loop = EpochLoop(architecture, solver, decays, batches, by_feature)
            packed = EpochLoop(architecture, solver, decays, batches, by_feature, layout)
            traced = TracedFunction(packed, sequential=not loop.looks_ahead, optimized=layout is None)
            # XLA fuses operations itself, and is slower if all weights are one variable
            self._epochs[decay_on] = _Epoch(loop, traced, compiled=TracedFunction(loop, compiled=True))
        self._settle = TracedFunction(self._catch_up)

    def memory(self) -> GraphMemory:
        if self._layout is not None:
            return PackedVariables(self._layout)
        lazy_rows = self._lazy_rows
        return None if lazy_rows is None else PendingRows(lazy_rows, self._network.n_features)

    def defers(self, weight_decay: float) -> bool:
        return self._layout is not None or self._epochs[weight_decay > 0].loop.lazy_rows is not None

    def pads(self, plan: EpochPlan) -> bool:
        return self._may_compile and is_worth_compiling(self._network, plan)

    def train(self, variables: Variables, part: EpochPart, scalars: Any, memory: GraphMemory) -> tuple[float, float]:
        plan, data, padding = part
        loop, traced, compiled = self._epochs[plan.weight_decay > 0]
        if padding is not None and self._may_compile:
            if isinstance(memory, PackedVariables):
                memory.unpack(variables)
            tensors = padded_plan(plan, padding, plan_tensors(plan, self._network.dtype))
            try:
                total, total_weight = compiled((variables, None), (data, scalars, tensors), plan.batch_size)
                return float(total), float(total_weight)
            except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
                self._may_compile = False  # XLA lacks an operation; it raises before any has run
        if isinstance(memory, PackedVariables):
            variables = memory.pack(variables)
        elif memory is not None and loop.lazy_rows is not None:
            return self._train_lazily(variables, part, scalars, memory)
        arguments = (data, scalars, plan_tensors(plan, self._network.dtype))
        total, total_weight = traced((variables, None), arguments, None)
        return float(total), float(total_weight)

    def _train_lazily(
        self, variables: Variables, part: EpochPart, scalars: Any, memory: PendingRows
    ) -> tuple[float, float]:
        """Train while rows that no batch touches wait for their steps; a segment of the steps at a time."""
        loop, traced, _ = self._epochs[part.plan.weight_decay > 0]
        total = total_weight = 0.0
        for segment in memory.history.segments(part.plan, loop.shrinks):
            tensors = plan_tensors(segment, self._network.dtype) | memory.advance(segment, loop.shrinks)
            loss, weight = traced((variables, memory.last), (part.data, scalars, tensors), None)
            total, total_weight = total + float(loss), total_weight + float(weight)
            # here and not when the weights are read: reading them must not change any result
            self._bring_up_to_date(variables, memory, loop)
        return total, total_weight

    def _bring_up_to_date(self, variables: Variables, memory: PendingRows, loop: EpochLoop) -> None:
        """Take the steps that rows have postponed in a segment."""
        assert loop.lazy_rows is not None  # or no row waits
        if loop.lazy_rows.moves or loop.shrinks:
            self._settle((variables, memory.last), (memory.times,))
        else:
            memory.last.assign(tf.zeros_like(memory.last))
        memory.history.reset()

    def settle(self, variables: Variables, memory: GraphMemory) -> None:
        if isinstance(memory, PackedVariables):
            memory.unpack(variables)

    @property
    def _lazy_rows(self) -> LazyRows | None:
        return next((epoch.loop.lazy_rows for epoch in self._epochs.values() if epoch.loop.lazy_rows is not None), None)

    def _catch_up(self, variables: Variables, last: Any, times: Mapping[str, Tensor]) -> None:
        assert self._lazy_rows is not None  # or no row waits
        catch_up(self._lazy_rows, last, [(variables.weights[k], variables.slots[k]) for k in self._by_feature], times)
