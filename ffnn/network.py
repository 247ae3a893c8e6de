"""The description of a network: Input → Block* → Output, frozen, without weights or tensors.

A builder turns it into a model. The computation is defined here once, in terms of the operations that a builder
supplies; networks with equal :meth:`Network.structure` share programs.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ffnn.initializers import draw
from ffnn.input import Input
from ffnn.layer import Context, Layer, Weight, call, numbered_names
from ffnn.model import Array
from ffnn.ops import Ops, SparseRows, Tensor
from ffnn.output import Output
from ffnn.plugins import registry

__all__ = ["Network", "Stage", "describe"]


@dataclass(frozen=True)
class Stage:
    """A layer at its position in a network.

    Parameters
    ----------
    name : str
        Its name in the network, such as ``"hidden1.affine"``.
    layer : Layer or Input
        The layer.
    n_inputs, n_outputs : int
        The widths of its input and output.
    """

    name: str
    layer: Layer | Input
    n_inputs: int
    n_outputs: int

    @functools.cached_property
    def weights(self) -> dict[str, Weight]:
        """The layer's weights by their names in the network, such as ``"hidden1.affine.weight"``."""
        return {f"{self.name}.{name}": weight for name, weight in self.layer.weights(self.n_inputs).items()}


@dataclass(frozen=True)
class Network:
    """A feed-forward network.

    Parameters
    ----------
    input : Input
        The input, fitted.
    stages : tuple of Stage
        The stages of the input, the hidden blocks and the output's head, in order.
    output : Output
        The output, fitted.
    n_features : int
        The width of X.
    dtype : str
        The dtype of weights, scores and losses: ``"float32"`` or ``"float64"``.
    compute_dtype : str or None
        The dtype of the hidden layers that support it, if not ``dtype``: ``"bfloat16"``.
    """

    input: Input
    stages: tuple[Stage, ...]
    output: Output
    n_features: int
    dtype: str
    compute_dtype: str | None = None

    @property
    def n_outputs(self) -> int:
        """The number of scores per row."""
        return self.output.n_outputs_

    @functools.cached_property
    def weights(self) -> dict[str, Weight]:
        """All weights by name, in order."""
        return {name: weight for stage in self.stages for name, weight in stage.weights.items()}

    @property
    def trained(self) -> dict[str, Weight]:
        """The weights that are trained by gradient descent."""
        return {name: weight for name, weight in self.weights.items() if weight.trainable}

    @property
    def extras(self) -> dict[str, Weight]:
        """The weights that are learned in other ways, such as moving averages."""
        return {name: weight for name, weight in self.weights.items() if not weight.trainable}

    @functools.cached_property
    def hidden(self) -> tuple[int, ...]:
        """The number of stages up to the end of each hidden layer."""
        ends = {stage.name.partition(".")[0]: n for n, stage in enumerate(self.stages, start=1)}
        return tuple(n for name, n in ends.items() if name.startswith("hidden"))

    @functools.cached_property
    def n_entry(self) -> int:
        """The number of leading stages that take sparse rows and have no weights."""
        entry = itertools.takewhile(lambda s: s.layer.traits.sparse and not s.weights, self.stages)
        return sum(1 for _ in entry) if self.input.sparse else 0

    @property
    def by_feature(self) -> tuple[str, ...]:
        """The names of the weights with a row for each feature, if they are multiplied with sparse rows."""
        stages = self.stages[self.n_entry : self.n_entry + 1]
        return tuple(
            name
            for stage in stages
            if self.input.sparse and stage.layer.traits.sparse
            for name, weight in stage.weights.items()
            if weight.by_feature
        )

    def first(self, n_stages: int | None) -> Network:
        """Return the network cut off after ``n_stages``; None means all of it."""
        return self if n_stages is None else dataclasses.replace(self, stages=self.stages[:n_stages])

    def dtype_of(self, stage: Stage) -> str:
        """Return the dtype of the batch that a stage takes."""
        low = stage.name.startswith("hidden") and stage.layer.traits.bfloat16
        return self.compute_dtype or self.dtype if low else self.dtype

    def entering(self, ops: Ops, x: Tensor) -> Tensor | SparseRows:
        """Return a dense batch, all of whose entries are kept, in the form that the input's ``forward`` takes."""
        if not self.input.sparse or type(self.input).forward is Input.forward:
            return x
        n_rows, n_columns = ops.shape(x)
        splits = ops.arange(n_rows + 1, "int32") * n_columns
        columns = ops.arange(n_rows * n_columns, "int32") % n_columns
        return SparseRows(splits, columns, ops.reshape(x, (-1,)), (n_rows, n_columns))

    def initial_weights(self, rng: np.random.Generator) -> dict[str, Array]:
        """Return freshly drawn weights, the same for every builder."""
        drawn = {name: draw(w.initializer, rng, w.shape, self.dtype) for name, w in self.weights.items()}
        for name, weight in self.weights.items():
            if weight.scale != 1:
                drawn[name] *= drawn[name].dtype.type(weight.scale)
        return drawn

    def scalars(self) -> Array:
        """Return the numbers that are inputs of a program, such as dropout rates, in the order of the stages."""
        return np.array([value for stage in self.stages for value in stage.layer.scalars()], dtype=self.dtype)

    def training_context(self, scalars: Tensor, seed: Tensor, row_weight: Tensor | None = None) -> Context:
        """Return the context of a training step.

        Parameters
        ----------
        scalars : tensor of shape (n_scalars,)
            The result of :meth:`scalars`.
        seed : integer tensor of shape (2,)
            The step's seed, from which each random stage derives its own.
        row_weight : tensor of shape (n_rows,), optional
            The sample weights.
        """
        names = [f"{stage.name}.{name}" for stage in self.stages for name in stage.layer.traits.scalars]
        return Context(True, seed, row_weight, {name: scalars[i] for i, name in enumerate(names)})

    def structure(self) -> Hashable:
        """Return a key; networks with equal keys share a traced program."""
        stages = tuple((stage.name, stage.layer.structure(), stage.n_inputs) for stage in self.stages)
        return (stages, self.output.structure(), self.n_features, self.dtype, self.compute_dtype)

    def apply(
        self,
        ops: Ops,
        x: Tensor | SparseRows,
        weights: Mapping[str, Tensor],
        context: Context | None = None,
        *,
        start: int = 0,
    ) -> Tensor:
        """Return the scores of a batch.

        Parameters
        ----------
        ops : Ops
            The builder's array operations.
        x : tensor of shape (n_rows, n_features)
            The batch that the input gathered.
        weights : mapping
            Tensors by the names in :attr:`weights`.
        context : Context, optional
            The result of :meth:`training_context`, to whose updates the new values of :attr:`extras` are added; by
            default, the network predicts.
        start : int
            The number of stages already applied to the batch.

        Returns
        -------
        scores : tensor of shape (n_rows, n_outputs)
            For a network cut off by :meth:`first`, the output of its last stage, which may be
            :class:`~ffnn.ops.SparseRows`.
        """
        context = context or Context()
        n_random = sum(stage.layer.traits.random for stage in self.stages[:start])
        for stage in self.stages[start:]:
            seed = None
            if context.seed is not None and stage.layer.traits.random:
                seed = context.seed + np.array([0, n_random], dtype=np.int32)
                n_random += 1
            own = dataclasses.replace(context, seed=seed)
            if isinstance(x, SparseRows) and not stage.layer.traits.sparse:
                x = x.dense(ops)
            x = call(stage.layer, f"{stage.name}.", ops, self._cast(ops, x, self.dtype_of(stage)), weights, own)
        return self._cast(ops, x, self.dtype)

    def _cast(self, ops: Ops, x: Tensor | SparseRows, dtype: str) -> Tensor | SparseRows:
        # sparse rows are cast when they have become dense
        return x if self.compute_dtype is None or isinstance(x, SparseRows) else ops.cast(x, dtype)


def describe(
    input: Input,
    output: Output,
    *,
    hidden_units: Sequence[int],
    block: Sequence[str | Layer],
    values: Mapping[str, Any],
    n_features: int,
    dtype: str,
    compute_dtype: str | None = None,
) -> Network:
    """Return the network that an estimator's parameters describe.

    Parameters
    ----------
    input, output : Input and Output
        The first and last part of the network; the output is fitted.
    hidden_units : sequence of int
        The width of each hidden block.
    block : sequence of str or Layer
        The layers of a hidden block: registered names, or instances.
    values : mapping
        The values of the layers' unset fields: ``rate``, ``activation``.
    n_features : int
        The width of X.
    dtype, compute_dtype
        The network's.

    Raises
    ------
    TypeError, ValueError
        If a layer is unknown, or one of its fields is out of range.
    """
    stages = [Stage("input", input, n_features, input.n_outputs(n_features))]
    initializer = "lecun_normal" if values.get("activation") == "selu" else "glorot_uniform"

    def append(prefix: str, recipe: Sequence[str | Layer], parameter: str, bound: Mapping[str, Any]) -> None:
        made = [registry.resolve("layer", item, parameter, Layer).bind(bound) for item in recipe]
        layers = [layer for layer in made if layer is not None]
        for name, layer in zip(numbered_names(layers), layers, strict=True):
            n_inputs = stages[-1].n_outputs
            stages.append(Stage(f"{prefix}.{name}", layer, n_inputs, layer.n_outputs(n_inputs)))

    for i, units in enumerate(hidden_units, start=1):
        append(f"hidden{i}", block, "block", {**values, "units": units, "initializer": initializer})
    # no activation follows the scores, so the head does not take the initializer that suits it
    append(
        "output", output.head, "output_layer.head",
        {**values, "units": output.n_outputs_, "initializer": "glorot_uniform"},
    )  # fmt: skip
    if stages[-1].n_outputs != output.n_outputs_:
        raise ValueError(
            f"{type(output).__name__}.head ends with {stages[-1].n_outputs} values per row; expected "
            f"{output.n_outputs_}, one per score. End it with 'affine'."
        )
    return Network(input, tuple(stages), output, n_features, dtype, compute_dtype)
