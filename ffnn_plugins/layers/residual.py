"""The layer called ``residual``: a block whose input is added to its output.

K. He et al. (2016), "Deep residual learning for image recognition", CVPR.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from ffnn.layer import Layer, Weight
from ffnn.ops import Ops, Tensor
from ffnn.plugins import registry

__all__ = ["Residual"]


@dataclass(frozen=True)
class Residual(Layer):
    """Computes ``x + block(x)``; where the block changes the width, ``x @ projection + block(x)``.

    It nests: ``block=(Residual(("layer_norm", "affine", "activation")),)`` makes a residual block of each of
    ``hidden_units``. The layers inside bind to the estimator's parameters as they do outside. Sparse rows are made
    dense on entering.

    Parameters
    ----------
    block : sequence of str or Layer, default=("dropout", "affine", "activation")
        The layers inside: registered names, or instances.
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

    # -- the layers inside, once bound

    @property
    def _inside(self) -> list[tuple[str, Layer]]:
        """The layers by what the names of their weights begin with."""
        taken: dict[str, int] = {}
        named = []
        for layer in self.block:
            if isinstance(layer, Layer):
                kind = type(layer).__name__.lower()
                taken[kind] = taken.get(kind, 0) + 1
                named.append((f"{kind}{taken[kind] if taken[kind] > 1 else ''}_", layer))
        return named

    @property
    def _n_random(self) -> int:
        return sum(layer._n_random if isinstance(layer, Residual) else layer.random for _, layer in self._inside)

    # what a layer says of its class depends here on what is inside

    @property
    def tensors(self) -> tuple[str, ...]:  # type: ignore[override]  # a class's constant
        return tuple(f"{prefix}{name}" for prefix, layer in self._inside for name in layer.tensors)

    @property
    def random(self) -> bool:  # type: ignore[override]  # a class's constant
        return self._n_random > 0

    @property
    def weighs_rows(self) -> bool:  # type: ignore[override]  # a class's constant
        return any(layer.weighs_rows for _, layer in self._inside)

    @property
    def takes_bfloat16(self) -> bool:  # type: ignore[override]  # a class's constant
        return all(layer.takes_bfloat16 for _, layer in self._inside)

    # -- a layer

    def n_outputs(self, n_inputs: int) -> int:
        for _, layer in self._inside:
            n_inputs = layer.n_outputs(n_inputs)
        return n_inputs

    def weights(self, n_inputs: int) -> dict[str, Weight]:
        weights: dict[str, Weight] = {}
        width = n_inputs
        for prefix, layer in self._inside:
            weights.update({f"{prefix}{name}": weight for name, weight in layer.weights(width).items()})
            width = layer.n_outputs(width)
        if width != n_inputs:
            weights["projection"] = Weight((n_inputs, width), "glorot_uniform", decays=True)
        return weights

    def scalars(self) -> list[float]:
        return [value for _, layer in self._inside for value in layer.scalars()]

    def structure(self) -> tuple[Hashable, ...]:
        return (type(self), *(layer.structure() for _, layer in self._inside))

    def forward(self, ops: Ops, x: Tensor, p: SimpleNamespace, *, training: bool) -> Tensor:
        y, n_random = x, 0
        for prefix, layer in self._inside:
            own = {name.removeprefix(prefix): v for name, v in vars(p).items() if name.startswith(prefix)}
            inner = SimpleNamespace(**own)
            if training:
                inner.row_weight, inner.updates = p.row_weight, {}
                if layer.random:
                    # the second number tells the stages of a network apart, the first the layers inside of one
                    inner.seed = p.seed + ops.cast(np.array([n_random, 0]), p.seed.dtype)
                    n_random += layer._n_random if isinstance(layer, Residual) else 1
            y = layer.forward(ops, y, inner, training=training)
            if training:
                p.updates.update({f"{prefix}{name}": value for name, value in inner.updates.items()})
        return y + (ops.matmul(x, ops.cast(p.projection, x.dtype)) if hasattr(p, "projection") else x)

    def to_keras(self, keras: Any, x: Any, name: str, dtype: str) -> Any:
        y = x
        for prefix, layer in self._inside:
            y = layer.to_keras(keras, y, f"{name}_{prefix[:-1]}", dtype)
            if y is NotImplemented:
                return NotImplemented
        if y.shape[-1] != x.shape[-1]:
            project = keras.layers.Dense(
                y.shape[-1], use_bias=False, kernel_initializer="zeros", name=f"{name}_projection", dtype=dtype
            )
            x = project(x)
        # in this order Keras lists the projection's variable last, as `weights` does
        return keras.layers.Add(name=f"{name}_add", dtype=dtype)([y, x])
