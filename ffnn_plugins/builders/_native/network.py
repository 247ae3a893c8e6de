"""Describes a network and its solver for C, or refuses them."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ffnn.exceptions import UnsupportedError
from ffnn.layer import Layer
from ffnn.native import NativeOp
from ffnn.solver import Solver, StochasticSolver
from ffnn.solvers import SGD, Adagrad, Adam, AdamW, RMSprop
from ffnn.solvers._checks import one_minus
from ffnn_plugins.builders._native import library
from ffnn_plugins.inputs.dense import DenseInput
from ffnn_plugins.inputs.sparse import SparseInput

if TYPE_CHECKING:
    from ffnn.network import Network, Stage

__all__ = ["Op", "loss_of", "ops_of", "solver_of"]

#: The names of the enumerations in C, in their order.
KINDS = ("function", "dropout", "alpha_dropout", "noise", "affine", "scale", "prelu", "layer_norm")
FUNCTIONS = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "sigmoid", "softplus", "mish", "tanh")
LOSSES = ("softmax", "sigmoid", "squared_error", "absolute_error", "huber", "quantile", "poisson")
SOLVERS = ("plain", "momentum", "nesterov", "adam", "rmsprop", "adagrad")

_ELSEWHERE = "Use builder='tf', which takes everything."


@dataclass(frozen=True)
class Op:
    """An operation of a network.

    Parameters
    ----------
    native : NativeOp
        The operation, with the network's names of its weights.
    n_inputs, n_outputs : int
        The widths of its input and output.
    n_random : int
        The number of random stages before it.
    stage : int
        The number of the stage that it belongs to.
    """

    native: NativeOp
    n_inputs: int
    n_outputs: int
    n_random: int
    stage: int


def ops_of(network: Network) -> list[Op]:
    """Return the operations of a network.

    Raises
    ------
    UnsupportedError
        If there is no operation for a stage, or for its dtype.
    """
    if network.compute_dtype is not None:
        raise UnsupportedError(
            f"builder='native' does not compute in {network.compute_dtype}, as dtype='mixed_{network.compute_dtype}' "
            f"says. Use dtype='auto', or builder='tf'."
        )
    if type(network.input).gather not in (DenseInput.gather, SparseInput.gather):
        raise _unsupported("input_layer", network.input)
    ops: list[Op] = []
    n_random = 0
    for number, stage in enumerate(network.stages):
        for native in _native(stage):
            own = replace(native, weight=_full(stage, native.weight), bias=_full(stage, native.bias))
            ops.append(Op(own, stage.n_inputs, stage.n_outputs, n_random, number))
        n_random += stage.layer.traits.random
    return ops


def _native(stage: Stage) -> tuple[NativeOp, ...]:
    layer = stage.layer
    found = layer.to_native(stage.n_inputs) if _speaks_for_itself(type(layer), "forward", "weights") else None
    if found is None:
        raise _unsupported("block" if isinstance(layer, Layer) else "input_layer", layer)
    return found


def _full(stage: Stage, name: str) -> str:
    return name and f"{stage.name}.{name}"


@functools.lru_cache(maxsize=256)
def _speaks_for_itself(kind: type, *methods: str) -> bool:
    """Return whether no subclass overrides the methods that ``to_native`` describes without overriding it, too."""
    order = kind.__mro__

    def place(name: str) -> int:
        return next((i for i, kind in enumerate(order) if name in vars(kind)), len(order))

    return all(place("to_native") <= place(name) for name in methods)


def _unsupported(parameter: str, plugin: Any) -> UnsupportedError:
    return UnsupportedError(f"builder='native' does not have {plugin!r}, which {parameter} names. {_ELSEWHERE}")


def loss_of(network: Network) -> library.Loss:
    """Return the network's loss.

    Raises
    ------
    UnsupportedError
        If it is not one of those in C.
    """
    output = network.output
    native = output.to_native() if _speaks_for_itself(type(output), "loss", "_losses", "_with_focal_factor") else None
    if native is None:
        raise _unsupported("output_layer", output)
    return library.Loss(
        LOSSES.index(native.kind), network.n_outputs, native.gamma is not None, native.weighted, native.gamma or 0.0,
        native.smoothing, native.quantile,
    )  # fmt: skip


def solver_of(solver: Solver, dtype: str) -> library.Solver:
    """Return a solver's step; the value for a solver that is not stochastic is not used.

    Raises
    ------
    UnsupportedError
        If it is not one of those in C.
    """
    kind = type(solver)  # a subclass may step otherwise
    if not isinstance(solver, StochasticSolver):
        return library.Solver()
    if kind is SGD and isinstance(solver, SGD):
        name = "plain" if not solver.momentum else "nesterov" if solver.nesterov else "momentum"
        return library.Solver(SOLVERS.index(name), solver.momentum)
    if kind in (Adam, AdamW) and isinstance(solver, Adam):
        rest = (one_minus(solver.beta_1, dtype), one_minus(solver.beta_2, dtype))
        return library.Solver(SOLVERS.index("adam"), 0.0, *rest, solver.epsilon)
    if kind is RMSprop and isinstance(solver, RMSprop):
        return library.Solver(SOLVERS.index("rmsprop"), 0.0, 0.0, one_minus(solver.rho, dtype), solver.epsilon)
    if kind is Adagrad and isinstance(solver, Adagrad):
        return library.Solver(SOLVERS.index("adagrad"), 0.0, 0.0, 0.0, solver.epsilon)
    raise _unsupported("solver", solver)
