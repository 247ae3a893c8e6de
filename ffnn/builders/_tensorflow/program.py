"""The programs that train on TensorFlow: an epoch, a gradient, a prediction, each one call into the engine.

The ``tf`` builder and the Keras builder, where Keras runs on TensorFlow, share them; they differ in ``forward``, which
is the network over raw operations for the one and a Keras model for the other.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from ffnn.builders._state import Specs
from ffnn.builders._tensorflow import ops
from ffnn.builders._tensorflow.batches import Batches
from ffnn.builders._tensorflow.epoch import Forward
from ffnn.builders._tensorflow.fused_steps import FusedSteps
from ffnn.builders._tensorflow.memory import filled_variable
from ffnn.builders._tensorflow.packed import Packing
from ffnn.builders._tensorflow.prediction import Prediction
from ffnn.builders._tensorflow.steps import Steps
from ffnn.builders._tensorflow.traced import Traced
from ffnn.builders._tensorflow.traced_steps import TracedSteps
from ffnn.builders._tensorflow.warm_up import warm_up
from ffnn.kernels.sparse_adam import SparseAdam
from ffnn.solver import Solver, StochasticSolver
from ffnn.solvers import Adam

if TYPE_CHECKING:
    from ffnn.network import Network

__all__ = ["GRADIENT_ROWS", "Program", "initial_slots", "program_key"]

Tensor = Any

#: Rows a pass of the full-batch gradient: what bounds its memory.
GRADIENT_ROWS = 256


def initial_slots(solver: Solver, weights: Sequence[Any]) -> list[list[Any]]:
    """Return the solver's variables for each weight variable, at their initial values."""
    if not isinstance(solver, StochasticSolver):
        return [[] for _ in weights]
    return [[filled_variable(w.shape, w.dtype.name, value) for value in solver.slots.values()] for w in weights]


def program_key(structure: Hashable, solver: Solver) -> Hashable:
    """Return what tells programs apart: what is traced, and who takes the steps."""
    return (structure, solver.structure(), SparseAdam.takes(solver))


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
    specs : mapping of str to (shape, dtype)
        Theirs, at least.
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
        self, network: Network, solver: Solver, decays: Mapping[str, bool], specs: Specs, by_feature: Sequence[str],
        forward: Forward, entry: Network, *, may_fill: bool = True,
    ) -> None:  # fmt: skip
        warm_up()
        self._network = network
        self._forward = forward
        met = [k for k, name in enumerate(decays) if name in by_feature]
        can = {"fused": FusedSteps.takes(network, solver, met), "stored": bool(met), "dense": True}
        possible = [path for path in network.input.paths_ or ("dense",) if can[path]]
        # what is no step goes by TensorFlow's operations
        stored = next(path for path in possible if path != "fused") == "stored"
        self._batches = Batches(network, entry, stored)
        few = Batches(network, entry, stored=True)
        #: What runs epochs; a solver that is not stochastic has none.
        self.steps: Steps[Any] | None = None
        if isinstance(solver, StochasticSolver) and possible[0] == "fused":
            assert isinstance(solver, Adam)  # as FusedSteps asked
            self.steps = FusedSteps(network, solver, list(decays.values()), forward, few, met[0])
        elif isinstance(solver, StochasticSolver):
            met_here = met if stored else []
            packing = None if met_here else Packing.of([specs[name] for name in decays], solver)
            self.steps = TracedSteps(
                network, solver, list(decays.values()), forward, self._batches, met_here, packing, may_fill=may_fill
            )
        self._gradient = Traced(self._total_gradient)
        by_row = stored and isinstance(self.steps, TracedSteps)
        #: What the trained network says of rows.
        self.prediction = Prediction(network, forward, self._batches, few, met, by_row=by_row)

    # -- called by models -----------------------------------------------------------------------------------------

    def loss_and_gradient(
        self, weights: list[Any], extras: list[Any], data: tuple[Any, ...]
    ) -> tuple[float, float, list[Any]]:
        """Return the sum of the losses over a data set, their mass, and the sum's gradients, as arrays."""
        total, mass, gradients = self._gradient((weights, extras), (data,))
        return float(total), float(mass), [g.numpy() for g in gradients]

    # -- traced ---------------------------------------------------------------------------------------------------

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
