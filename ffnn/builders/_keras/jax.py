"""Keras on JAX: batch by batch, each step compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax

from ffnn.builders._cache import BoundedCache
from ffnn.builders._keras.engine import Batch, Engine, Step
from ffnn.builders._keras.host import HostModel
from ffnn.builders._keras.source import Source
from ffnn.builders._keras.template import Template
from ffnn.builders._state import Variables
from ffnn.network import Network
from ffnn.ops import Tensor
from ffnn.solver import Solver

__all__ = ["KerasJaxModel"]

_engines: BoundedCache[Engine] = BoundedCache(64)


class _JaxEngine(Engine):
    def __init__(self, network: Network, solver: Solver, prefix: Network, template: Template) -> None:
        super().__init__(network, solver, prefix, template)
        self._compiled_step = jax.jit(self._step)
        self._compiled_gradient = jax.jit(self._gradient)
        self._compiled_scores = jax.jit(self._scores, static_argnums=2)
        self._compiled_input_gradient = jax.jit(jax.grad(self.picked, argnums=1))

    def step(self, variables: Variables, batch: Batch, step: Step) -> tuple[Variables, Tensor, Tensor]:
        return self._compiled_step(variables, batch, step)

    def gradient(self, variables: Variables, batch: Batch) -> tuple[Tensor, Tensor, list[Tensor]]:
        return self._compiled_gradient(variables, batch)

    def scores(self, variables: Variables, x: Tensor, n_stages: int | None) -> Tensor:
        return self._compiled_scores(variables, x, n_stages)

    def input_gradient(self, variables: Variables, x: Tensor, pick: Tensor) -> Tensor:
        return self._compiled_input_gradient(variables, x, pick)

    def _step(self, variables: Variables, batch: Batch, step: Step) -> tuple[Variables, Tensor, Tensor]:
        def mean(weights: list[Tensor]) -> tuple[Tensor, Any]:
            found = self.loss(weights, variables.extras, batch, step.seed)
            return self.mean(*found[:2]), found

        (_, (loss, total_weight, extras)), gradients = jax.value_and_grad(mean, has_aux=True)(variables.weights)
        weights, slots = self.update(variables, gradients, step)
        return Variables(weights, extras, slots), loss, total_weight

    def _gradient(self, variables: Variables, batch: Batch) -> tuple[Tensor, Tensor, list[Tensor]]:
        def total(weights: list[Tensor]) -> tuple[Tensor, Tensor]:
            loss, total_weight, _ = self.loss(weights, variables.extras, batch)
            return loss, total_weight

        (loss, total_weight), gradients = jax.value_and_grad(total, has_aux=True)(variables.weights)
        return loss, total_weight, gradients

    def _scores(self, variables: Variables, x: Tensor, n_stages: int | None) -> Tensor:
        return self.template(variables.weights, variables.extras, x, n_stages=n_stages).scores


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
