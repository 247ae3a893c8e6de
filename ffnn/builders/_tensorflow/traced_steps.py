"""Epochs that TensorFlow runs alone, traced or compiled by XLA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from ffnn.builders._tensorflow.batches import Batches
from ffnn.builders._tensorflow.compiled import Filling, is_worth_compiling, whole_batches
from ffnn.builders._tensorflow.epoch import Epoch, Forward
from ffnn.builders._tensorflow.packed import PackedVariables, Packing
from ffnn.builders._tensorflow.steps import Steps, arguments_of
from ffnn.builders._tensorflow.touched import IdleRows, catch_up
from ffnn.builders._tensorflow.traced import Traced
from ffnn.lazy_rows import LazyRows
from ffnn.model import EpochPlan
from ffnn.solver import StochasticSolver

if TYPE_CHECKING:
    from ffnn.network import Network

__all__ = ["TracedSteps"]

Tensor = Any


class TracedSteps(Steps[IdleRows | PackedVariables | None]):
    """Epochs that are each one call into TensorFlow.

    Parameters
    ----------
    network : Network
        The description.
    solver : StochasticSolver
        What takes the steps.
    decays : sequence of bool
        Whether weight decay acts on each trained weight, where there is any.
    forward : callable
        As in :class:`ffnn.builders._tensorflow.program.Program`.
    batches : Batches
        What makes the batches.
    by_feature : sequence of int
        The trained weights that have a row a feature; empty unless batches are of stored entries.
    packing : Packing or None
        How all weights lie in one variable, if they do.
    may_fill : bool
        Whether rows of no weight may be added to a batch, as compiling needs.
    """

    def __init__(
        self, network: Network, solver: StochasticSolver, decays: Sequence[bool], forward: Forward, batches: Batches,
        by_feature: Sequence[int], packing: Packing | None, *, may_fill: bool,
    ) -> None:  # fmt: skip
        self._network = network
        self._solver = solver
        self._packing = packing
        self._by_feature = tuple(by_feature)
        self._may_compile = may_fill
        self._epochs: dict[bool, tuple[Epoch, Traced, Traced]] = {}
        for decay_on in (False, True):
            acts = [decay_on and decays_here for decays_here in decays]
            epoch, packed = (Epoch(network, solver, acts, forward, batches, by_feature, p) for p in (None, packing))
            traced = Traced(packed, in_turn=not epoch.looks_ahead, as_it_is=packing is not None)
            # XLA makes one operation of many by itself, and is slower where they are one variable
            self._epochs[decay_on] = epoch, traced, Traced(epoch, compiled=True)
        self._settle = Traced(self._catch_up)

    def memory(self) -> IdleRows | PackedVariables | None:
        if self._packing is not None:
            return PackedVariables(self._packing)
        idling = self._idling
        return None if idling is None else IdleRows(idling, self._network.n_features)

    def waits(self, weight_decay: float) -> bool:
        return self._packing is not None or self._epochs[weight_decay > 0][0].idling is not None

    def fills(self, plan: EpochPlan) -> bool:
        return self._may_compile and is_worth_compiling(self._network, plan)

    def train_epoch(
        self, weights: list[Any], extras: list[Any], slots: list[list[Any]], data: tuple[Any, ...], scalars: Any,
        plan: EpochPlan, memory: IdleRows | PackedVariables | None, filling: Filling | None = None,
    ) -> tuple[float, float]:  # fmt: skip
        epoch, traced, compiled = self._epochs[plan.weight_decay > 0]
        arguments = arguments_of(plan, self._network.dtype)
        if filling is not None and self._may_compile:
            if isinstance(memory, PackedVariables):
                memory.give(weights, slots)
            whole = whole_batches(plan, filling, arguments)
            try:
                total, mass = compiled((weights, extras, slots, None), (data, scalars, whole), plan.batch_size)
                return float(total), float(mass)
            except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
                self._may_compile = False  # an operation that XLA lacks; found before any has run
        if isinstance(memory, PackedVariables):
            weights, slots = memory.take(weights, slots)
        elif memory is not None and epoch.idling is not None:
            total = mass = 0.0
            for part in memory.clock.segments(plan, epoch.shrinks):
                arguments = arguments_of(part, self._network.dtype) | memory.advance(part, epoch.shrinks)
                loss, m = traced((weights, extras, slots, memory.last), (data, scalars, arguments), None)
                total, mass = total + float(loss), mass + float(m)
                # here, not when somebody looks, on which nothing may depend
                self._bring_up_to_date(weights, slots, memory, epoch)
            return total, mass
        total, mass = traced((weights, extras, slots, None), (data, scalars, arguments), None)
        return float(total), float(mass)

    def _bring_up_to_date(self, weights: list[Any], slots: list[list[Any]], memory: IdleRows, epoch: Epoch) -> None:
        """Take the steps that rows have waited for in a segment."""
        assert epoch.idling is not None  # or nothing waits
        if epoch.idling.moves or epoch.shrinks:
            self._settle((weights, slots, memory.last), (memory.times,))
        else:
            memory.last.assign(tf.zeros_like(memory.last))
        memory.clock.reset()

    def settle(self, weights: list[Any], slots: list[list[Any]], memory: IdleRows | PackedVariables | None) -> None:
        if isinstance(memory, PackedVariables):
            memory.give(weights, slots)

    @property
    def _idling(self) -> LazyRows | None:
        return next((epoch.idling for epoch, *_ in self._epochs.values() if epoch.idling is not None), None)

    def _catch_up(self, weights: list[Any], slots: list[list[Any]], last: Any, times: Mapping[str, Tensor]) -> None:
        assert self._idling is not None  # or nothing waits
        catch_up(self._idling, last, [(weights[k], slots[k]) for k in self._by_feature], times)
