"""The ``residual`` layer: a block whose input is added to its output.

K. He et al. (2016), "Deep residual learning for image recognition", CVPR.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ffnn.layer import Context, Layer, Traits, Weight, call, numbered_names
from ffnn.ops import Ops, Tensor
from ffnn.plugins import registry

__all__ = ["Residual"]


@dataclass(frozen=True)
class Residual(Layer):
    """Computes ``x + block(x)``; where the block changes the width, ``x @ projection + block(x)``.

    ``block=(Residual(("layer_norm", "affine", "activation")),)`` makes a residual block of each of ``hidden_units``.
    The inner layers bind to the estimator's parameters like any others. Sparse input is converted to dense.

    Parameters
    ----------
    block : sequence of str or Layer, default=("dropout", "affine", "activation")
        The inner layers: registered names, or instances.
    """

    block: Sequence[str | Layer] = ("dropout", "affine", "activation")

    def __post_init__(self) -> None:
        if isinstance(self.block, list):
            object.__setattr__(self, "block", tuple(self.block))  # a layer is hashable

    def bind(self, values: Mapping[str, Any]) -> Layer | None:
        if isinstance(self.block, str) or not isinstance(self.block, tuple) or not self.block:
            raise TypeError(
                f"Residual.block={self.block!r}: expected a sequence of layers, such as ('affine', 'activation'); "
                f"got {'an empty one' if self.block == () else type(self.block).__name__}."
            )
        bound = [registry.resolve("layer", item, "Residual.block", Layer).bind(values) for item in self.block]
        block = tuple(layer for layer in bound if layer is not None)
        return dataclasses.replace(self, block=block) if block else None

    # -- the inner layers, once bound

    @property
    def _inner(self) -> list[tuple[str, Layer]]:
        """The inner layers, each with the prefix of its weights' names."""
        layers = [layer for layer in self.block if isinstance(layer, Layer)]
        return [(f"{name}_", layer) for name, layer in zip(numbered_names(layers), layers, strict=True)]

    @property
    def _n_random(self) -> int:
        return sum(_n_random(layer) for _, layer in self._inner)

    @property
    def traits(self) -> Traits:
        traits = [(prefix, layer.traits) for prefix, layer in self._inner]
        return Traits(
            scalars=tuple(f"{prefix}{name}" for prefix, own in traits for name in own.scalars),
            random=any(own.random for _, own in traits),
            bfloat16=all(own.bfloat16 for _, own in traits),
            weighs_rows=any(own.weighs_rows for _, own in traits),
        )

    # -- a layer

    def n_outputs(self, n_inputs: int) -> int:
        for _, layer in self._inner:
            n_inputs = layer.n_outputs(n_inputs)
        return n_inputs

    def weights(self, n_inputs: int) -> dict[str, Weight]:
        weights: dict[str, Weight] = {}
        width = n_inputs
        for prefix, layer in self._inner:
            weights.update({f"{prefix}{name}": weight for name, weight in layer.weights(width).items()})
            width = layer.n_outputs(width)
        if width != n_inputs:
            weights["projection"] = Weight((n_inputs, width), "glorot_uniform", decays=True)
        return weights

    def scalars(self) -> list[float]:
        return [value for _, layer in self._inner for value in layer.scalars()]

    def structure(self) -> tuple[Hashable, ...]:
        return (type(self), *(layer.structure() for _, layer in self._inner))

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        y, n_random = x, 0
        for prefix, layer in self._inner:
            seed = None
            if context.seed is not None and layer.traits.random:
                # the second number distinguishes the stages of a network, the first one the layers within a stage
                seed = context.seed + ops.cast(np.array([n_random, 0]), context.seed.dtype)
                n_random += _n_random(layer)
            y = call(layer, prefix, ops, y, weights, dataclasses.replace(context, seed=seed))
        if "projection" in weights:
            x = ops.matmul(x, ops.cast(weights["projection"], x.dtype))
        return y + x

    def to_keras(self, keras: Any, x: Any, name: str, dtype: str) -> Any:
        y = x
        for prefix, layer in self._inner:
            y = layer.to_keras(keras, y, f"{name}_{prefix[:-1]}", dtype)
            if y is NotImplemented:
                return NotImplemented
        if y.shape[-1] != x.shape[-1]:
            project = keras.layers.Dense(
                y.shape[-1], use_bias=False, kernel_initializer="zeros", name=f"{name}_projection", dtype=dtype
            )
            x = project(x)
        # this order makes Keras list the projection's variable last, as `weights` does
        return keras.layers.Add(name=f"{name}_add", dtype=dtype)([y, x])


def _n_random(layer: Layer) -> int:
    """Return the number of seeds that a layer consumes."""
    return layer._n_random if isinstance(layer, Residual) else int(layer.traits.random)
