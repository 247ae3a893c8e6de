"""The programs that train on TensorFlow: an epoch, a gradient, a prediction, each one call into the engine.

The ``tf`` builder and the Keras builder, where Keras runs on TensorFlow, share them; they differ in ``forward``, which
is the network over raw operations for the one and a Keras model for the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from ffnn.builder import EpochPlan
from ffnn.builders import _tensorflow_ops as ops
from ffnn.input import SparseRows
from ffnn.solver import Solver, StochasticSolver, clipped
from ffnn.solvers import Adam, AdamW

if TYPE_CHECKING:
    from ffnn.network import Network

__all__ = ["GRADIENT_ROWS", "TILE_ROWS", "Program", "initial_slots"]

Tensor = Any
Forward = Callable[..., tuple[Tensor, list[Tensor], Tensor | None]]

#: Rows a tile of a prediction. Fixed, so that a row's scores do not depend on its neighbours.
TILE_ROWS = 64
#: Rows a pass of the full-batch gradient: what bounds its memory.
GRADIENT_ROWS = 256


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


#: Solvers that TensorFlow has a fused kernel for, which beats the same formula in separate operations.
_FUSED: dict[type[Solver], Callable[..., None]] = {Adam: _adam, AdamW: _adam}


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
    decays : sequence of bool
        Whether weight decay acts on each trained weight.
    forward : callable
        ``forward(weights, extras, batch, scalars, seed, row_weight, training)`` returns the scores, the new values of
        the extras, and a penalty to be added to the mean loss or None. Extras are what a network learns otherwise than
        by its gradient, such as moving means. A last argument ``n_stages`` makes it stop after so many stages.
    """

    def __init__(self, network: Network, solver: Solver, decays: Sequence[bool], forward: Forward) -> None:
        self._network = network
        self._solver = solver
        self._decays = tuple(decays)
        self._forward = forward
        self._epochs = {
            decay: tf.function(self._make_epoch(decay), autograph=False, reduce_retracing=True)
            for decay in (False, True)
        }
        self._gradient = tf.function(self._total_gradient, autograph=False, reduce_retracing=True)
        self._predict = tf.function(self._tiles, autograph=False, reduce_retracing=True)
        self._slope = tf.function(self._gradient_tiles, autograph=False, reduce_retracing=True)

    # -- called by models -----------------------------------------------------------------------------------------

    def train_epoch(
        self, weights: list[Any], extras: list[Any], slots: list[list[Any]], data: tuple[Any, ...], scalars: Any,
        plan: EpochPlan,
    ) -> float:  # fmt: skip
        """Train an epoch and return its mean loss; the variables change in place."""
        dtype = self._network.dtype
        total, mass = _call(
            self._epochs[plan.weight_decay > 0],
            (weights, extras, slots),
            (
                data,
                scalars,
                tf.constant(plan.order),
                tf.constant(plan.batch_size, tf.int32),
                tf.constant(plan.step_sizes, dtype),
                tf.constant(plan.learning_rates * plan.weight_decay, dtype),
                tf.constant(plan.seeds),
                tf.constant(plan.weight_decay, dtype),
                {name: tf.constant(bound, dtype) for name, bound in plan.clipping.items()},
            ),
        )
        return float(total) / float(mass) if float(mass) else 0.0

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

    def _batch(self, data: tuple[Any, ...], rows: Tensor) -> tuple[Any, Tensor, Tensor]:
        arrays, targets, weight = data
        x = self._network.input.gather(ops, arrays, rows, self._network.n_features)
        return x, tf.gather(targets, rows), tf.gather(weight, rows)

    def _make_epoch(self, decay_on: bool) -> Callable[..., tuple[Tensor, Tensor]]:
        def epoch(
            weights: list[Any], extras: list[Any], slots: list[list[Any]], data: tuple[Any, ...], scalars: Tensor,
            order: Tensor, batch_size: Tensor, step_sizes: Tensor, shrinkages: Tensor, seeds: Tensor, decay: Tensor,
            clipping: dict[str, Tensor],
        ) -> tuple[Tensor, Tensor]:  # fmt: skip
            def step(i: Tensor, total: Tensor, total_mass: Tensor) -> tuple[Tensor, Tensor, Tensor]:
                rows = order[i * batch_size : tf.minimum((i + 1) * batch_size, tf.size(order))]
                x, y, w = self._batch(data, rows)
                with tf.GradientTape(watch_accessed_variables=False) as tape:
                    tape.watch(weights)
                    scores, updates, penalty = self._forward(weights, extras, x, scalars, seeds[i], w, True)
                    loss, mass = self._network.output.loss(ops, scores, y, w)
                    if penalty is not None:
                        loss += penalty * mass
                    # a batch of nothing but missing labels has no mass: its loss is 0, never NaN
                    mean = tf.math.divide_no_nan(loss, mass)
                gradients = tape.gradient(mean, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
                gradients = clipped(ops, gradients, self._network.dtype, **clipping)
                for weight, slot, gradient, decays in zip(weights, slots, gradients, self._decays, strict=True):
                    if decay_on and decays:
                        if self._solver.decoupled:
                            weight.assign_sub(tf.cast(shrinkages[i], weight.dtype) * weight)
                        else:
                            gradient = gradient + tf.cast(decay, weight.dtype) * weight
                    self._update(weight, slot, gradient, step_sizes[i])
                for extra, value in zip(extras, updates, strict=True):
                    extra.assign(value)
                return i + 1, total + tf.cast(loss, tf.float64), total_mass + tf.cast(mass, tf.float64)

            zero = tf.zeros((), tf.float64)
            n_batches = tf.size(step_sizes)
            # one step at a time: each needs the weights of the last
            _, total, mass = tf.while_loop(lambda i, *_: i < n_batches, step, (0, zero, zero), parallel_iterations=1)
            return total, mass

        return epoch

    def _update(self, weight: Any, slots: Sequence[Any], gradient: Tensor, step_size: Tensor) -> None:
        solver = self._solver
        step_size = tf.cast(step_size, weight.dtype)  # a user's own Keras layers may have another dtype
        if type(solver) in _FUSED:
            _FUSED[type(solver)](weight, slots, gradient, step_size, solver)
            return
        assert isinstance(solver, StochasticSolver)  # L-BFGS takes its steps in the core
        named = dict(zip(solver.slots, slots, strict=True))
        value, new = solver.update(ops, weight, gradient, named, step_size, weight.dtype.name)
        weight.assign(value)
        for name, variable in named.items():
            variable.assign(new[name])

    def _total_gradient(
        self, weights: list[Any], extras: list[Any], data: tuple[Any, ...]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        n_rows = tf.size(data[2])

        def add(i: Tensor, total: Tensor, mass: Tensor, *sums: Tensor) -> tuple[Tensor, ...]:
            rows = tf.range(i, tf.minimum(i + GRADIENT_ROWS, n_rows))
            x, y, w = self._batch(data, rows)
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
        def scores(x: Any) -> Tensor:
            return self._scores(weights, extras, x, n_stages)

        width = self._network.n_outputs if n_stages is None else self._network.stages[n_stages - 1].n_outputs
        return self._by_tile(scores, arrays, n_rows, width)

    def _gradient_tiles(
        self, weights: list[Any], extras: list[Any], arrays: tuple[Any, ...], n_rows: Tensor, pick: Tensor
    ) -> Tensor:
        network = self._network

        def slopes(x: Any) -> Tensor:
            x = tf.ensure_shape(x.dense(ops) if isinstance(x, SparseRows) else x, (TILE_ROWS, network.n_features))
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(x)
                # a row's scores depend on that row alone, so that the sum over rows mixes nothing
                score = tf.reduce_sum(self._scores(weights, extras, network.entering(ops, x)) * pick)
            return tape.gradient(score, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)

        return self._by_tile(slopes, arrays, n_rows, network.n_features)

    def _scores(self, weights: list[Any], extras: list[Any], x: Any, n_stages: int | None = None) -> Tensor:
        return self._forward(weights, extras, x, None, None, None, False, n_stages=n_stages)[0]

    def _by_tile(
        self, function: Callable[[Any], Tensor], arrays: tuple[Any, ...], n_rows: Tensor, width: int
    ) -> Tensor:
        n_tiles = (n_rows + TILE_ROWS - 1) // TILE_ROWS

        def write(i: Tensor, tiles: Any) -> tuple[Tensor, Any]:
            # the last tile is filled up with copies of the last row
            rows = tf.minimum(i * TILE_ROWS + tf.range(TILE_ROWS), n_rows - 1)
            x = self._network.input.gather(ops, arrays, rows, self._network.n_features)
            return i + 1, tiles.write(i, function(x))

        tiles = tf.TensorArray(self._network.dtype, size=n_tiles, element_shape=(TILE_ROWS, width))
        _, tiles = tf.while_loop(lambda i, _: i < n_tiles, write, (0, tiles), parallel_iterations=1)
        return tiles.concat()


def _call(function: Any, variables: tuple[Any, ...], arguments: tuple[Any, ...], *constants: Any) -> Any:
    """Call a traced function, traced at first for any number of rows, so that no fold of a search traces anew."""

    def relax(t: Tensor) -> Any:
        return tf.TensorSpec([None, *t.shape[1:]] if t.shape.rank else [], t.dtype)

    relaxed = tf.nest.map_structure(relax, arguments)
    function.get_concrete_function(*variables, *relaxed, *constants)
    return function(*variables, *arguments, *constants)
