"""Traced programs on TensorFlow: an epoch, a gradient and a prediction, each one call into the engine.

The ``tf`` builder and the Keras builder on TensorFlow share them. They differ only in the forward pass: raw operations
for one, a Keras model for the other.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import tensorflow as tf

from ffnn.builders._sparse_path import paths_for
from ffnn.builders._state import Variables
from ffnn.builders._tensorflow import ops
from ffnn.builders._tensorflow.data.batches import Batches, Data
from ffnn.builders._tensorflow.epoch.graph_runner import GraphRunner
from ffnn.builders._tensorflow.epoch.kernel_runner import KernelRunner
from ffnn.builders._tensorflow.epoch.packed import PackedLayout
from ffnn.builders._tensorflow.epoch.runner import EpochRunner
from ffnn.builders._tensorflow.forward import Architecture
from ffnn.builders._tensorflow.memory import filled_variable
from ffnn.builders._tensorflow.prediction import Prediction
from ffnn.builders._tensorflow.traced import TracedFunction
from ffnn.builders._tensorflow.warm_up import warm_up
from ffnn.kernels.sparse_adam import SparseAdam
from ffnn.network import Network
from ffnn.ops import Tensor
from ffnn.solver import Solver, StochasticSolver
from ffnn.solvers import Adam

__all__ = ["GRADIENT_ROWS", "Program", "initial_slots", "program_key"]


#: The number of rows in a pass of the full-batch gradient, which bounds its memory.
GRADIENT_ROWS = 256


def initial_slots(solver: Solver, weights: Sequence[Any]) -> list[list[Any]]:
    """Return the solver's variables for each weight variable, at their initial values."""
    if not isinstance(solver, StochasticSolver):
        return [[] for _ in weights]
    return [[filled_variable(w.shape, w.dtype.name, value) for value in solver.slots.values()] for w in weights]


def program_key(structure: Hashable, network: Network, solver: Solver) -> Hashable:
    """Return a program's key: the traced structure, the paths of sparse rows, and the solver."""
    return (structure, paths_for(network.input, network.n_features), solver.structure(), SparseAdam.takes(solver))


class Program:
    """The traced programs of one architecture under one solver.

    Parameters
    ----------
    architecture : Architecture
        The network and its forward pass.
    solver : Solver
        The solver.
    """

    def __init__(self, architecture: Architecture, solver: Solver) -> None:
        warm_up()
        network = architecture.network
        self.architecture = architecture
        self._layout: PackedLayout | None = None
        by_feature = [k for k, name in enumerate(architecture.decays) if name in architecture.by_feature]
        paths = paths_for(network.input, network.n_features)
        takes = {"kernel": KernelRunner.takes(network, solver, by_feature), "stored": bool(by_feature), "dense": True}
        possible = [path for path in paths if takes[path]]
        # predictions and gradients use TensorFlow's operations, whatever trains
        stored = next(path for path in possible if path != "kernel") == "stored"
        self._batches = Batches(architecture, stored=stored)
        sparse_batches = Batches(architecture, stored=True)
        #: The runner of epochs; None for a solver that is not stochastic.
        self.runner: EpochRunner[Any] | None = None
        if isinstance(solver, StochasticSolver) and possible[0] == "kernel":
            assert isinstance(solver, Adam)  # as KernelRunner.takes requires
            self.runner = KernelRunner(architecture, solver, sparse_batches, by_feature[0])
        elif isinstance(solver, StochasticSolver):
            specs = [architecture.specs[name] for name in architecture.decays]
            touched = by_feature if stored else []
            self._layout = None if touched else PackedLayout.of(specs, solver)
            self.runner = GraphRunner(architecture, solver, self._batches, touched, self._layout)
        self._gradient = TracedFunction(self._total_gradient)
        #: The network's predictions.
        self.prediction = Prediction(
            architecture,
            self._batches,
            sparse_batches,
            by_feature,
            assigns_rows=stored and isinstance(self.runner, GraphRunner),
            prefers_kernel=paths[0] == "kernel",
        )

    def describe(self) -> dict[str, Any]:
        """Return the class name of the runner of epochs, the path of batches, and whether weights are packed."""
        runner = None if self.runner is None else type(self.runner).__name__
        path = "kernel" if isinstance(self.runner, KernelRunner) else "stored" if self._batches.stored else "dense"
        return {"runner": runner, "path": path, "packed": self._layout is not None}

    def loss_and_gradient(self, variables: Variables, data: Data) -> tuple[float, float, list[Any]]:
        """Return the sum of a data set's losses, their total weight, and the gradients of the sum, as arrays."""
        total, total_weight, gradients = self._gradient((variables,), (data,))
        return float(total), float(total_weight), [g.numpy() for g in gradients]

    def _total_gradient(self, variables: Variables, data: Data) -> tuple[Tensor, Tensor, list[Tensor]]:
        n_rows, weights = tf.size(data.weight), variables.weights
        forward, output = self.architecture.forward, self.architecture.network.output

        def add(i: Tensor, total: Tensor, total_weight: Tensor, *sums: Tensor) -> tuple[Tensor, ...]:
            rows = tf.range(i, tf.minimum(i + GRADIENT_ROWS, n_rows))
            batch = self._batches.take(data, rows)
            x = self._batches.whole(batch.arrays)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(weights)
                outputs = forward(weights=weights, extras=variables.extras, x=x)
                loss, weight = output.loss(ops, outputs.scores, batch.targets, batch.weight)
                if outputs.penalty is not None:
                    loss += outputs.penalty * weight
            gradients = tape.gradient(loss, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            sums = tuple(s + g for s, g in zip(sums, gradients, strict=True))
            total, total_weight = total + tf.cast(loss, tf.float64), total_weight + tf.cast(weight, tf.float64)
            return i + GRADIENT_ROWS, total, total_weight, *sums

        zero = tf.zeros((), tf.float64)
        start = (0, zero, zero, *(tf.zeros(w.shape, w.dtype) for w in weights))
        _, total, total_weight, *sums = tf.while_loop(lambda i, *_: i < n_rows, add, start, parallel_iterations=1)
        return total, total_weight, sums
