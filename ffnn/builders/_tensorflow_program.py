"""The programs that train on TensorFlow: an epoch, a gradient, a prediction, each one call into the engine.

The ``tf`` builder and the Keras builder, where Keras runs on TensorFlow, share them; they differ in ``forward``, which
is the network over raw operations for the one and a Keras model for the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from ffnn.builder import EpochPlan
from ffnn.builders import _tensorflow_ops as ops
from ffnn.builders._tensorflow_batches import Batches
from ffnn.builders._tensorflow_epoch import Epoch, Forward
from ffnn.builders._tensorflow_touched import IdleRows, catch_up, compact
from ffnn.input import SparseRows
from ffnn.solver import Solver, StochasticSolver

if TYPE_CHECKING:
    from ffnn.network import Network

__all__ = ["GRADIENT_ROWS", "TILE_ROWS", "Program", "initial_slots"]

Tensor = Any

#: Rows a tile of a prediction. Fixed, so that a row's scores do not depend on its neighbours.
TILE_ROWS = 64
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
        by its gradient, such as moving means. The batch has been through the network's ``n_entry`` first stages. A last
        argument ``n_stages`` makes it stop after so many stages.
    """

    def __init__(
        self, network: Network, solver: Solver, decays: Mapping[str, bool], by_feature: Sequence[str], forward: Forward
    ) -> None:
        self._network = network
        self._forward = forward
        stored = network.input.stored_ and bool(by_feature)
        self._by_feature = [k for k, name in enumerate(decays) if stored and name in by_feature]
        self._batches = Batches(network, stored)
        self._epochs: dict[bool, tuple[Epoch, Any]] = {}
        if isinstance(solver, StochasticSolver):
            for decay_on in (False, True):
                acts = [decay_on and decays_here for decays_here in decays.values()]
                epoch = Epoch(network, solver, acts, forward, self._batches, self._by_feature)
                self._epochs[decay_on] = epoch, _traced(epoch)
        self._gradient = _traced(self._total_gradient)
        self._predict = _traced(self._tiles)
        self._slope = _traced(self._gradient_tiles)
        self._settle = _traced(self._catch_up)

    # -- called by models -----------------------------------------------------------------------------------------

    def idles(self, weight_decay: float) -> bool:
        """Return whether epochs leave the rows of features that their batches lack for :meth:`settle`."""
        return bool(self._epochs) and self._epochs[weight_decay > 0][0].idling is not None

    def train_epoch(
        self, weights: list[Any], extras: list[Any], slots: list[list[Any]], data: tuple[Any, ...], scalars: Any,
        plan: EpochPlan, idle: IdleRows | None,
    ) -> float:  # fmt: skip
        """Train an epoch and return its mean loss; the variables change in place."""
        dtype = self._network.dtype
        epoch, traced = self._epochs[plan.weight_decay > 0]
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
        total, mass = _call(traced, variables, (data, scalars, arguments))
        return float(total) / float(mass) if float(mass) else 0.0

    def settle(self, weights: list[Any], slots: list[list[Any]], idle: IdleRows) -> None:
        """Take the steps that epochs left for later."""
        if idle.clock.now:
            _call(self._settle, (weights, slots, idle.last), (idle.present(),))
            idle.clock.reset()

    def loss_and_gradient(
        self, weights: list[Any], extras: list[Any], data: tuple[Any, ...]
    ) -> tuple[float, list[Any]]:
        """Return the mean loss over the data set and its gradients, as arrays."""
        total, mass, gradients = _call(self._gradient, (weights, extras), (data,))
        mass = float(mass) or 1.0
        return float(total) / mass, [g.numpy() / mass for g in gradients]

    def forward(
        self, weights: list[Any], extras: list[Any], arrays: tuple[Any, ...], n_rows: int, layer: int | None
    ) -> Any:
        """Return the scores of all rows, or the values of a hidden layer, tile by tile."""
        n_stages = None if layer is None else self._network.hidden[layer]
        scores = _call(self._predict, (weights, extras), (arrays, tf.constant(n_rows, tf.int32)), n_stages)
        return scores[:n_rows].numpy()

    def input_gradient(self, weights: list[Any], extras: list[Any], arrays: tuple[Any, ...], n_rows: int) -> Any:
        """Return the gradients of the scores of all rows with respect to X, tile by tile and output by output."""
        network = self._network
        result = np.empty((n_rows, network.n_outputs, network.n_features), network.dtype)
        for k, pick in enumerate(np.eye(network.n_outputs, dtype=network.dtype)):
            arguments = (arrays, tf.constant(n_rows, tf.int32), tf.constant(pick))
            result[:, k] = _call(self._slope, (weights, extras), arguments)[:n_rows].numpy()
        return result

    # -- traced ---------------------------------------------------------------------------------------------------

    def _catch_up(self, weights: list[Any], slots: list[list[Any]], last: Any, present: dict[str, Tensor]) -> None:
        idling = next(epoch.idling for epoch, _ in self._epochs.values() if epoch.idling is not None)
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

    def _tiles(
        self, weights: list[Any], extras: list[Any], arrays: tuple[Any, ...], n_rows: Tensor, n_stages: int | None
    ) -> Tensor:
        def scores(rows: Tensor) -> Tensor:
            return self._scores(weights, extras, self._batches.rows(arrays, rows), n_stages)

        width = self._network.n_outputs if n_stages is None else self._network.stages[n_stages - 1].n_outputs
        return self._by_tile(scores, n_rows, width)

    def _gradient_tiles(
        self, weights: list[Any], extras: list[Any], arrays: tuple[Any, ...], n_rows: Tensor, pick: Tensor
    ) -> Tensor:
        network = self._network

        def slopes(rows: Tensor) -> Tensor:
            x = network.input.gather(ops, arrays, rows, network.n_features)
            x = tf.ensure_shape(x.dense(ops) if isinstance(x, SparseRows) else x, (TILE_ROWS, network.n_features))
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(x)
                entering = network.entering(ops, x)
                entering = self._batches.enter(entering) if isinstance(entering, SparseRows) else entering
                # a row's scores depend on that row alone, so that the sum over rows mixes nothing
                score = tf.reduce_sum(self._scores(weights, extras, entering) * pick)
            return tape.gradient(score, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        return self._by_tile(slopes, n_rows, network.n_features)

    def _scores(self, weights: list[Any], extras: list[Any], x: Any, n_stages: int | None = None) -> Tensor:
        if self._by_feature and isinstance(x, SparseRows):
            columns, x = compact(x)
            weights = [tf.gather(w, columns) if k in self._by_feature else w for k, w in enumerate(weights)]
        return self._forward(weights, extras, x, None, None, None, False, n_stages=n_stages)[0]

    def _by_tile(self, function: Callable[[Tensor], Tensor], n_rows: Tensor, width: int) -> Tensor:
        n_tiles = (n_rows + TILE_ROWS - 1) // TILE_ROWS

        def write(i: Tensor, tiles: Any) -> tuple[Tensor, Any]:
            # the last tile is filled up with copies of the last row
            rows = tf.minimum(i * TILE_ROWS + tf.range(TILE_ROWS), n_rows - 1)
            return i + 1, tiles.write(i, function(rows))

        tiles = tf.TensorArray(self._network.dtype, size=n_tiles, element_shape=(TILE_ROWS, width))
        _, tiles = tf.while_loop(lambda i, _: i < n_tiles, write, (0, tiles), parallel_iterations=1)
        return tiles.concat()


def _traced(function: Callable[..., Any]) -> Any:
    return tf.function(function, autograph=False, reduce_retracing=True)


def _call(function: Any, variables: tuple[Any, ...], arguments: tuple[Any, ...], *constants: Any) -> Any:
    """Call a traced function, traced at first for any number of rows, so that no fold of a search traces anew."""

    def relax(t: Tensor) -> Any:
        return tf.TensorSpec([None, *t.shape[1:]] if t.shape.rank else [], t.dtype)

    relaxed = tf.nest.map_structure(relax, arguments)
    function.get_concrete_function(*variables, *relaxed, *constants)
    return function(*variables, *arguments, *constants)
