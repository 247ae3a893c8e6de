"""An epoch as a TensorFlow graph: a loop of steps, in one call into the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from ffnn.builders._forward import StepInputs
from ffnn.builders._state import Variables
from ffnn.builders._tensorflow import ops
from ffnn.builders._tensorflow.data.batches import Batches, Data
from ffnn.builders._tensorflow.epoch.gradients import batch_gradients
from ffnn.builders._tensorflow.epoch.packed import PackedLayout
from ffnn.builders._tensorflow.epoch.solver_step import Decays, SolverStep, rates_at
from ffnn.builders._tensorflow.epoch.touched import TouchedRows, compact
from ffnn.builders._tensorflow.forward import Architecture
from ffnn.lazy_rows import LazyRows
from ffnn.ops import Tensor
from ffnn.solver import StochasticSolver, clipped

__all__ = ["EpochLoop"]


class EpochLoop:
    """The steps of an epoch, to be traced.

    Parameters
    ----------
    architecture : Architecture
        The network.
    solver : StochasticSolver
        The solver.
    decays : sequence of bool
        Whether weight decay acts on each trained weight in these epochs.
    batches : Batches
        The maker of batches.
    by_feature : sequence of int
        The positions of the trained weights with one row per feature, of which a step touches only some rows; empty
        unless batches are sparse.
    layout : PackedLayout, optional
        The layout of all weights in one variable, if the variables are packed.
    """

    def __init__(
        self,
        architecture: Architecture,
        solver: StochasticSolver,
        decays: Sequence[bool],
        batches: Batches,
        by_feature: Sequence[int],
        layout: PackedLayout | None = None,
    ) -> None:
        self._network = architecture.network
        self._forward = architecture.forward
        self._solver = solver
        self._solver_step = SolverStep(solver)
        self._decays: tuple[Decays, ...] = tuple(decays) if layout is None else (layout.mask(decays),)
        self._layout = layout
        self._batches = batches
        self._by_feature = tuple(by_feature)
        #: Whether a batch is made during the step before it.
        self.looks_ahead = self._network.input.sparse
        decaying = {decays[k] for k in by_feature}
        #: Whether each step shrinks the weights with one row per feature.
        self.shrinks = solver.decoupled and decaying == {True}
        #: How rows that a batch does not touch postpone their steps, if they do. They cannot under an L2 penalty, whose
        #: gradient in such a row is not zero.
        self.lazy_rows: LazyRows | None = None
        if decaying == {False} or self.shrinks:
            self.lazy_rows = solver.lazy_rows()

    def __call__(
        self,
        variables: Variables,
        last: Any,
        data: Data,
        scalars: Tensor,
        plan: Mapping[str, Any],
        batch_size: int | None,
    ) -> tuple[Tensor, Tensor]:
        """Train an epoch in place; return the sum of the batches' losses and their total weight.

        Parameters
        ----------
        variables : Variables
            The fit's variables.
        last : tf.Variable or None
            :attr:`ffnn.builders._tensorflow.epoch.touched.PendingRows.last`.
        data : Data
            The data set.
        scalars : tensor of shape (n_scalars,)
            The network's scalars.
        plan : mapping of str to tensor
            The result of ``plan_tensors``, with that of ``PendingRows.advance`` if rows postpone steps, or of
            ``padded_plan`` if batches have a fixed size.
        batch_size : int or None
            The size of every batch, if all have the same size.
        """
        n_batches = tf.size(plan["step_sizes"]) if batch_size is None else plan["n_batches"]
        size = plan["batch_size"] if batch_size is None else batch_size

        def batch(i: Tensor) -> Data:
            begin = tf.reshape(i * size, [1])
            if batch_size is None:
                rows = tf.strided_slice(plan["order"], begin, begin + size)
            else:
                rows = tf.slice(plan["order"], begin, [batch_size])
            # only the entry stages of sparse rows draw random numbers
            seed = tf.gather(plan["seeds"], i) if self._network.input.sparse else None
            return self._batches.take(data, rows, scalars, seed)

        def step(i: Tensor, total: Tensor, total_weight: Tensor, *ready: Any) -> tuple[Any, ...]:
            # make the next batch during this step, if that takes long enough to matter
            ahead = (batch(tf.minimum(i + 1, n_batches - 1)),) if self.looks_ahead else ()
            loss, weight = self._step(variables, last, ready[0] if ready else batch(i), scalars, plan, i)
            return i + 1, total + tf.cast(loss, tf.float64), total_weight + tf.cast(weight, tf.float64), *ahead

        zero = tf.zeros((), tf.float64)
        start = (0, zero, zero, *((batch(tf.constant(0)),) if self.looks_ahead else ()))
        shapes = tf.nest.map_structure(lambda t: tf.TensorShape([None, *t.shape[1:]]), start[3:])
        _, total, total_weight, *_ = tf.while_loop(
            lambda i, *_: i < n_batches,
            step,
            start,
            shape_invariants=(*[tf.TensorShape([])] * 3, *shapes),
            parallel_iterations=1,  # one step at a time: each needs the previous step's weights
        )
        return total, total_weight

    def _step(
        self, variables: Variables, last: Any, batch: Data, scalars: Tensor, plan: Mapping[str, Any], i: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Take step ``i``; return the sum of the batch's losses and their total weight."""
        x = self._batches.whole(batch.arrays)
        layout, take_step = self._layout, self._solver_step
        weights = list(variables.weights) if layout is None else layout.unpack(variables.weights[0])
        slots = [take_step.named(of_weight) for of_weight in variables.slots]
        touched, columns = None, None
        if self._by_feature:
            columns, x = compact(x)
            if self.lazy_rows is not None:
                touched = TouchedRows(self.lazy_rows, last, columns, plan, i)
            for k in self._by_feature:
                if touched is None:
                    weights[k] = tf.gather(variables.weights[k], columns)
                else:
                    weights[k], slots[k] = touched.take(variables.weights[k], slots[k])
        training = StepInputs(scalars, tf.gather(plan["seeds"], i), batch.weight)
        loss, total_weight, gradients, extras = batch_gradients(
            self._network.output,
            lambda: self._forward(weights=weights, extras=variables.extras, x=x, training=training),
            sources=weights,
            targets=batch.targets,
            weight=batch.weight,
        )
        gradients = clipped(ops, gradients, self._network.dtype, **plan["clipping"])
        if layout is not None:
            gradients = [layout.pack(gradients)]
        rates = rates_at(plan, i)
        for k, gradient in enumerate(gradients):
            weight, of_weight = variables.weights[k], variables.slots[k]
            if k in self._by_feature and touched is not None:
                rows = take_step.stepped(weights[k], slots[k], gradient, rates, self._decays[k])
                touched.put([weight, *of_weight], rows)
                continue
            if k in self._by_feature:
                gradient = tf.math.unsorted_segment_sum(gradient, columns, self._network.n_features)
            take_step.assign(weight, of_weight, gradient, rates, self._decays[k])
        if touched is not None:
            touched.tick()
        for extra, value in zip(variables.extras, extras, strict=True):
            extra.assign(value)
        return loss, total_weight
