"""An epoch on TensorFlow: a loop of steps, in one call into the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from ffnn.builders._tensorflow import ops
from ffnn.builders._tensorflow.batches import Batches
from ffnn.builders._tensorflow.packed import Packing
from ffnn.builders._tensorflow.touched import TouchedRows, compact
from ffnn.lazy_rows import LazyRows
from ffnn.solver import Solver, StochasticSolver, clipped
from ffnn.solvers import Adam, AdamW

if TYPE_CHECKING:
    from ffnn.network import Network

__all__ = ["Epoch", "Forward", "at_step"]

Tensor = Any
Forward = Callable[..., tuple[Tensor, list[Tensor], Tensor | None]]
#: Whether weight decay acts on a variable, or 1 where it acts in one and 0 where it does not.
Decays = bool | np.ndarray[Any, np.dtype[Any]]


def _adam(weight: Any, slots: Sequence[Any], gradient: Tensor, step_size: Tensor, solver: Adam) -> None:
    """Take a step of Adam by TensorFlow's fused kernel, which writes to the variables in place."""
    tf.raw_ops.ResourceApplyAdam(
        var=weight.handle,
        m=slots[0].handle,
        v=slots[1].handle,
        beta1_power=tf.zeros((), weight.dtype),  # the step size has the bias correction already
        beta2_power=tf.zeros((), weight.dtype),
        lr=step_size,
        beta1=tf.constant(solver.beta_1, weight.dtype),
        beta2=tf.constant(solver.beta_2, weight.dtype),
        epsilon=tf.constant(solver.epsilon, weight.dtype),
        grad=gradient,
    )


def _share(rate: Tensor, weight: Any, decays: Decays) -> Tensor:
    """Return the share of each entry of a weight that decay takes."""
    rate = tf.cast(rate, weight.dtype)  # a user's own Keras layers may have another dtype
    return rate if isinstance(decays, bool) else rate * tf.constant(decays, weight.dtype)


def at_step(plan: Mapping[str, Any], i: Tensor) -> dict[str, Any]:
    """Return an epoch's plan with the numbers of one step in place of those of all."""
    return {**plan, **{name: tf.gather(plan[name], i) for name in ("step_sizes", "shrinkages") if name in plan}}


#: Solvers that TensorFlow has a fused kernel for, which beats the same formula in separate operations.
_FUSED: dict[type[Solver], Callable[..., None]] = {Adam: _adam, AdamW: _adam}


class Epoch:
    """The steps of an epoch, to be traced.

    Parameters
    ----------
    network : Network
        The description.
    solver : StochasticSolver
        What takes the steps.
    decays : sequence of bool
        Whether weight decay acts on each trained weight, in these epochs.
    forward : callable
        As in :class:`ffnn.builders._tensorflow.program.Program`.
    batches : Batches
        What makes the batches.
    by_feature : sequence of int
        The trained weights that have a row a feature; empty unless batches are of stored entries.
    packing : Packing, optional
        How all weights lie in one variable, which is what the epochs then take.
    """

    def __init__(
        self, network: Network, solver: StochasticSolver, decays: Sequence[bool], forward: Forward, batches: Batches,
        by_feature: Sequence[int], packing: Packing | None = None,
    ) -> None:  # fmt: skip
        self._network = network
        self._solver = solver
        self._decays: tuple[Decays, ...] = tuple(decays) if packing is None else (packing.mask(decays),)
        self._packing = packing
        self._forward = forward
        self._batches = batches
        self._by_feature = tuple(by_feature)
        #: Whether a batch is made before its turn.
        self.looks_ahead = network.input.sparse
        decaying = {decays[k] for k in by_feature}
        #: Whether each step shrinks the weights that have a row a feature.
        self.shrinks = solver.decoupled and decaying == {True}
        #: How the rows of features that a batch lacks are left for later, if they are: the gradient of an L2 penalty is
        #: not zero where that of the loss is.
        self.idling: LazyRows | None = None
        if decaying == {False} or self.shrinks:
            self.idling = solver.idling()

    def __call__(
        self, weights: list[Any], extras: list[Any], slots: list[list[Any]], last: Any, data: tuple[Any, ...],
        scalars: Tensor, plan: Mapping[str, Any], batch_size: int | None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Train an epoch; return the sum of the batches' losses and the sum of their masses.

        Parameters
        ----------
        weights, extras : list of tf.Variable
            What the gradient trains, and what is learned otherwise; both change in place.
        slots : list of list of tf.Variable
            The solver's, a list a weight.
        last : tf.Variable or None
            What :class:`~ffnn.builders._tensorflow.touched.IdleRows` keeps.
        data : tuple
            The arrays of X, the targets and the weights of the rows.
        scalars : tensor of shape (n_scalars,)
            The network's.
        plan : mapping of str to tensor
            What ``arguments_of`` made of an :class:`~ffnn.builder.EpochPlan`, and what ``IdleRows.advance`` or
            ``whole_batches`` returned.
        batch_size : int or None
            The rows of every batch, where all are whole.
        """
        n_batches = tf.size(plan["step_sizes"]) if batch_size is None else plan["n_batches"]
        size = plan["batch_size"] if batch_size is None else batch_size

        def batch(i: Tensor) -> tuple[Any, Tensor, Tensor]:
            begin = tf.reshape(i * size, [1])
            if batch_size is None:
                rows = tf.strided_slice(plan["order"], begin, begin + size)
            else:
                rows = tf.slice(plan["order"], begin, [batch_size])
            # nothing random is made of dense rows beforehand
            seed = tf.gather(plan["seeds"], i) if self._network.input.sparse else None
            return self._batches.take(data, rows, scalars, seed)

        def step(i: Tensor, total: Tensor, total_mass: Tensor, *ready: Any) -> tuple[Any, ...]:
            # the next batch is made while this step is under way, where that takes long enough to matter
            ahead = (batch(tf.minimum(i + 1, n_batches - 1)),) if self.looks_ahead else ()
            loss, mass = self._step(weights, extras, slots, last, ready[0] if ready else batch(i), scalars, plan, i)
            return i + 1, total + tf.cast(loss, tf.float64), total_mass + tf.cast(mass, tf.float64), *ahead

        zero = tf.zeros((), tf.float64)
        start = (0, zero, zero, *((batch(tf.constant(0)),) if self.looks_ahead else ()))
        shapes = tf.nest.map_structure(lambda t: tf.TensorShape([None, *t.shape[1:]]), start[3:])
        _, total, mass, *_ = tf.while_loop(
            lambda i, *_: i < n_batches,
            step,
            start,
            shape_invariants=(*[tf.TensorShape([])] * 3, *shapes),
            parallel_iterations=1,  # one step at a time: each needs the weights of the last
        )
        return total, mass

    def _step(
        self, variables: list[Any], extras: list[Any], slots: list[list[Any]], last: Any,
        batch: tuple[Any, Tensor, Tensor], scalars: Tensor, plan: Mapping[str, Any], i: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        parts, y, w = batch
        x = self._batches.whole(parts)
        weights: list[Any] = list(variables) if self._packing is None else self._packing.unpack(variables[0])
        named = [dict(zip(self._solver.slots, of_weight, strict=True)) for of_weight in slots]
        touched, columns = None, None
        if self._by_feature:
            columns, x = compact(x)
            if self.idling is not None:
                touched = TouchedRows(self.idling, last, columns, plan, i)
            for k in self._by_feature:
                if touched is None:
                    weights[k] = tf.gather(variables[k], columns)
                else:
                    weights[k], named[k] = touched.take(variables[k], named[k])
        loss, mass, gradients, updates = self.gradients(weights, extras, x, y, w, scalars, tf.gather(plan["seeds"], i))
        gradients = clipped(ops, gradients, self._network.dtype, **plan["clipping"])
        if self._packing is not None:
            gradients = [self._packing.pack(gradients)]
        plan = at_step(plan, i)
        for k, gradient in enumerate(gradients):
            if k in self._by_feature and touched is not None:
                rows = self._stepped(weights[k], named[k], gradient, plan, self._decays[k])
                touched.put([variables[k], *slots[k]], rows)
                continue
            if k in self._by_feature:
                gradient = tf.math.unsorted_segment_sum(gradient, columns, self._network.n_features)
            self.update(variables[k], slots[k], gradient, plan, self._decays[k])
        if touched is not None:
            touched.tick()
        for extra, value in zip(extras, updates, strict=True):
            extra.assign(value)
        return loss, mass

    def gradients(
        self, weights: list[Any], extras: list[Any], x: Any, y: Tensor, w: Tensor, scalars: Tensor, seed: Tensor,
        sources: list[Any] | None = None,
    ) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:  # fmt: skip
        """Return the sum of a batch's losses, its mass, the mean's gradients and the new values of the extras.

        The gradients are those with respect to ``sources``, if that is not the weights.
        """
        sources = weights if sources is None else sources
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(sources)
            scores, updates, penalty = self._forward(weights, extras, x, scalars, seed, w, True)
            loss, mass = self._network.output.loss(ops, scores, y, w)
            if penalty is not None:
                loss += penalty * mass
        # of the mean; a batch of nothing but missing labels has no mass, and a gradient of 0, never NaN
        share = tf.math.divide_no_nan(tf.ones_like(mass), mass)
        found = tape.gradient(loss, sources, share, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return loss, mass, found, updates

    def update(
        self, weight: Any, slots: Sequence[Any], gradient: Tensor, plan: Mapping[str, Any], decays: Decays
    ) -> None:
        """Take a step of a weight's variables."""
        solver = self._solver
        if type(solver) in _FUSED:
            if decays is not False and solver.decoupled:
                weight.assign_sub(_share(plan["shrinkages"], weight, decays) * weight)
            elif decays is not False:
                gradient = gradient + _share(plan["decay"], weight, decays) * weight
            step_size = tf.cast(plan["step_sizes"], weight.dtype)
            _FUSED[type(solver)](weight, slots, gradient, step_size, solver)
            return
        named = dict(zip(solver.slots, slots, strict=True))
        values = self._stepped(weight, named, gradient, plan, decays)
        for variable, value in zip([weight, *slots], values, strict=True):
            variable.assign(value)

    def _stepped(
        self, weight: Tensor, slots: Mapping[str, Tensor], gradient: Tensor, plan: Mapping[str, Any], decays: Decays
    ) -> list[Tensor]:
        """Return the weight and its slots after a step."""
        if decays is not False and self._solver.decoupled:
            weight = weight - _share(plan["shrinkages"], weight, decays) * weight
        elif decays is not False:
            gradient = gradient + _share(plan["decay"], weight, decays) * weight
        size = tf.cast(plan["step_sizes"], weight.dtype)
        value, new = self._solver.update(ops, weight, gradient, slots, size, weight.dtype.name)
        return [value, *(new[name] for name in self._solver.slots)]
