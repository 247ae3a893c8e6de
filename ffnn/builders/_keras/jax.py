"""Keras on JAX: batch by batch, each step compiled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax

from ffnn.builders._cache import BoundedCache
from ffnn.builders._keras.host import Engine, HostModel, Tensor
from ffnn.builders._keras.source import Source
from ffnn.builders._keras.template import Template
from ffnn.network import Network
from ffnn.solver import Solver

__all__ = ["KerasJaxModel"]

_engines: BoundedCache[Engine] = BoundedCache(64)


class _JaxEngine(Engine):
    def __init__(self, network: Network, solver: Solver, prefix: Network, template: Template) -> None:
        super().__init__(network, solver, prefix, template)
        self._compiled_step = jax.jit(self._step)
        self._compiled_gradient = jax.jit(self._gradient)
        self._compiled_scores = jax.jit(self._scores, static_argnums=3)
        self._compiled_slopes = jax.jit(jax.grad(self.picked, argnums=2))

    def step(self, *arguments: Any) -> tuple[list[Tensor], list[Tensor], list[list[Tensor]], Tensor, Tensor]:
        return self._compiled_step(*arguments)

    def gradient(self, *arguments: Any) -> tuple[Tensor, Tensor, list[Tensor]]:
        return self._compiled_gradient(*arguments)

    def scores(self, weights: list[Tensor], extras: list[Tensor], x: Tensor, n_stages: int | None) -> Tensor:
        return self._compiled_scores(weights, extras, x, n_stages)

    def slopes(self, weights: list[Tensor], extras: list[Tensor], x: Tensor, pick: Tensor) -> Tensor:
        return self._compiled_slopes(weights, extras, x, pick)

    def _step(
        self, weights: list[Tensor], extras: list[Tensor], slots: list[list[Tensor]], batch: Sequence[Tensor],
        seed: Tensor, step_size: Tensor, shrinkage: Tensor, decay: Tensor, clipping: dict[str, Tensor],
    ) -> tuple[list[Tensor], list[Tensor], list[list[Tensor]], Tensor, Tensor]:  # fmt: skip
        def mean(weights: list[Tensor]) -> tuple[Tensor, Any]:
            loss, mass, updates = self.loss(weights, extras, batch, seed, True)
            return self.mean(loss, mass), (loss, mass, updates)

        (_, (loss, mass, updates)), gradients = jax.value_and_grad(mean, has_aux=True)(weights)
        weights, slots = self.update(weights, slots, gradients, step_size, shrinkage, decay, clipping)
        return weights, updates, slots, loss, mass

    def _gradient(
        self, weights: list[Tensor], extras: list[Tensor], batch: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        def total(weights: list[Tensor]) -> tuple[Tensor, Tensor]:
            loss, mass, _ = self.loss(weights, extras, batch, None, False)
            return loss, mass

        (loss, mass), gradients = jax.value_and_grad(total, has_aux=True)(weights)
        return loss, mass, gradients

    def _scores(self, weights: list[Tensor], extras: list[Tensor], x: Tensor, n_stages: int | None) -> Tensor:
        return self.template(weights, extras, x, None, False, n_stages=n_stages)[0]


class KerasJaxModel(HostModel):
    """A network, or a user's own Keras model, on JAX."""

    def __init__(self, network: Network, solver: Solver, source: Source, device: str | None = None) -> None:
        self._x64 = network.dtype == "float64"
        super().__init__(network, solver, source, device)

    def make_engine(self) -> Engine:
        def make() -> Engine:
            prefix, template = self._source.parts(on_host=True)
            template.release()
            return _JaxEngine(self._network, self._solver, prefix, template)

        return _engines.get((self._source.key, self._solver.structure()), make)

    @contextmanager
    def scope(self) -> Iterator[None]:
        # JAX has 32 bits only, unless it is told otherwise, here for this thread and these lines alone
        enable: Any = getattr(jax, "enable_x64", None)
        if enable is None:  # its place before JAX 0.8
            from jax import experimental

            enable = vars(experimental)["enable_x64"]
        with super().scope(), enable(self._x64):
            yield
