"""The programs that train on TensorFlow: an epoch, a gradient, a prediction, each one call into the engine.

The ``tf`` builder and the Keras builder, where Keras runs on TensorFlow, share them; they differ in ``forward``, which
is the network over raw operations for the one and a Keras model for the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from ffnn.builder import EpochPlan
from ffnn.builders import _tensorflow_ops as ops
from ffnn.builders._tensorflow_batches import Batches
from ffnn.builders._tensorflow_compiled import is_worth_compiling, whole_batches
from ffnn.builders._tensorflow_epoch import Epoch, Forward
from ffnn.builders._tensorflow_prediction import Prediction
from ffnn.builders._tensorflow_touched import IdleRows, catch_up
from ffnn.builders._tensorflow_traced import Traced
from ffnn.solver import Solver, StochasticSolver

if TYPE_CHECKING:
    from ffnn.network import Network

__all__ = ["GRADIENT_ROWS", "Program", "initial_slots"]

Tensor = Any

#: Rows a pass of the full-batch gradient: what bounds its memory.
GRADIENT_ROWS = 256


def initial_slots(solver: Solver, weights: Sequence[Any]) -> list[list[Any]]:
    """Return the solver's variables for each weight variable, at their initial values."""
    if not isinstance(solver, StochasticSolver):
        return [[] for _ in weights]
    return [
        [tf.Variable(tf.fill(w.shape, tf.cast(value, w.dtype)), trainable=False) for value in solver.slots.values()]
        for w in weights
    ]


class Program:
    """The traced programs of one architecture under one solver.

    Parameters
    ----------
    network : Network
        The description.
    solver : Solver
        What takes the steps.
    decays : mapping of str to bool
        The trained weights, and whether weight decay acts on each.
    by_feature : sequence of str
        The names of those that have a row a feature and meet the entries of sparse rows.
    forward : callable
        ``forward(weights, extras, batch, scalars, seed, row_weight, training)`` returns the scores, the new values of
        the extras, and a penalty to be added to the mean loss or None. Extras are what a network learns otherwise than
        by its gradient, such as moving means. A last argument ``n_stages`` makes it stop after so many stages.
    entry : Network
        The first stages, which ``forward`` leaves out: those that act on sparse rows without weights.
    may_fill : bool
        Whether rows of no weight may be added to a batch, as compiling needs.
    """

    def __init__(
        self, network: Network, solver: Solver, decays: Mapping[str, bool], by_feature: Sequence[str],
        forward: Forward, entry: Network, *, may_fill: bool = True,
    ) -> None:  # fmt: skip
        self._network = network
        self._forward = forward
        met = [k for k, name in enumerate(decays) if name in by_feature]
        stored = network.input.stored_ and bool(met)
        self._by_feature = met if stored else []
        self._batches = Batches(network, entry, stored)
        self._may_compile = may_fill
        self._epochs: dict[bool, tuple[Epoch, Traced, Traced]] = {}
        if isinstance(solver, StochasticSolver):
            for decay_on in (False, True):
                acts = [decay_on and decays_here for decays_here in decays.values()]
                epoch = Epoch(network, solver, acts, forward, self._batches, self._by_feature)
                traced = Traced(epoch, in_turn=not epoch.looks_ahead)
                self._epochs[decay_on] = epoch, traced, Traced(epoch, compiled=True)
        self._gradient = Traced(self._total_gradient)
        self._settle = Traced(self._catch_up)
        #: What the trained network says of rows.
        self.prediction = Prediction(network, forward, self._batches, Batches(network, entry, stored=True), met)

    # -- called by models -----------------------------------------------------------------------------------------

    def idles(self, weight_decay: float) -> bool:
        """Return whether epochs leave the rows of features that their batches lack for :meth:`settle`."""
        return bool(self._epochs) and self._epochs[weight_decay > 0][0].idling is not None

    def compiles(self, plan: EpochPlan) -> bool:
        """Return whether an epoch is compiled by XLA; then its data is filled up."""
        return self._may_compile and is_worth_compiling(self._network, plan)

    def train_epoch(
        self, weights: list[Any], extras: list[Any], slots: list[list[Any]], data: tuple[Any, ...], scalars: Any,
        plan: EpochPlan, idle: IdleRows | None, n_filled: int | None = None,
    ) -> tuple[float, float]:  # fmt: skip
        """Train an epoch, or some of its steps; return the sum of the losses and their mass.

        The variables change in place. ``n_filled`` is the number of rows that count where the data is filled up.
        """
        dtype = self._network.dtype
        epoch, traced, compiled = self._epochs[plan.weight_decay > 0]
        arguments = {
            "order": tf.constant(plan.order),
            "batch_size": tf.constant(plan.batch_size, tf.int32),
            "step_sizes": tf.constant(plan.step_sizes, dtype),
            "shrinkages": tf.constant(plan.learning_rates * plan.weight_decay, dtype),
            "seeds": tf.constant(plan.seeds),
            "decay": tf.constant(plan.weight_decay, dtype),
            "clipping": {name: tf.constant(bound, dtype) for name, bound in plan.clipping.items()},
        }
        if idle is not None:
            arguments |= idle.advance(plan, epoch.shrinks)
        variables = (weights, extras, slots, None if idle is None else idle.last)
        if n_filled is not None and self._may_compile:
            whole = whole_batches(plan, n_filled, arguments)
            try:
                total, mass = compiled(variables, (data, scalars, whole), plan.batch_size)
                return float(total), float(mass)
            except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
                self._may_compile = False  # an operation that XLA lacks; found before any has run
        total, mass = traced(variables, (data, scalars, arguments), None)
        return float(total), float(mass)

    def settle(self, weights: list[Any], slots: list[list[Any]], idle: IdleRows) -> None:
        """Take the steps that epochs left for later."""
        if idle.clock.now:
            self._settle((weights, slots, idle.last), (idle.present(),))
            idle.clock.reset()

    def loss_and_gradient(
        self, weights: list[Any], extras: list[Any], data: tuple[Any, ...]
    ) -> tuple[float, float, list[Any]]:
        """Return the sum of the losses over a data set, their mass, and the sum's gradients, as arrays."""
        total, mass, gradients = self._gradient((weights, extras), (data,))
        return float(total), float(mass), [g.numpy() for g in gradients]

    # -- traced ---------------------------------------------------------------------------------------------------

    def _catch_up(self, weights: list[Any], slots: list[list[Any]], last: Any, present: dict[str, Tensor]) -> None:
        idling = next(epoch.idling for epoch, *_ in self._epochs.values() if epoch.idling is not None)
        catch_up(idling, last, [(weights[k], slots[k]) for k in self._by_feature], present)

    def _total_gradient(
        self, weights: list[Any], extras: list[Any], data: tuple[Any, ...]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        n_rows = tf.size(data[2])

        def add(i: Tensor, total: Tensor, mass: Tensor, *sums: Tensor) -> tuple[Tensor, ...]:
            rows = tf.range(i, tf.minimum(i + GRADIENT_ROWS, n_rows))
            parts, y, w = self._batches.take(data, rows)
            x = self._batches.whole(parts)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(weights)
                scores, _, penalty = self._forward(weights, extras, x, None, None, None, False)
                loss, m = self._network.output.loss(ops, scores, y, w)
                if penalty is not None:
                    loss += penalty * m
            gradients = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            sums = tuple(s + g for s, g in zip(sums, gradients, strict=True))
            return i + GRADIENT_ROWS, total + tf.cast(loss, tf.float64), mass + tf.cast(m, tf.float64), *sums

        zero = tf.zeros((), tf.float64)
        start = (0, zero, zero, *(tf.zeros(w.shape, w.dtype) for w in weights))
        _, total, mass, *sums = tf.while_loop(lambda i, *_: i < n_rows, add, start, parallel_iterations=1)
        return total, mass, sums
