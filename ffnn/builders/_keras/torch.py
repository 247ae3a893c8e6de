"""Keras on torch: batch by batch, by autograd."""

from __future__ import annotations

import torch

from ffnn.builders._keras.engine import Batch, Engine, Step
from ffnn.builders._keras.host import HostModel
from ffnn.builders._state import Variables
from ffnn.ops import Tensor

__all__ = ["KerasTorchModel"]


class _TorchEngine(Engine):
    def step(self, variables: Variables, batch: Batch, step: Step) -> tuple[Variables, Tensor, Tensor]:
        leaves = [w.detach().requires_grad_() for w in variables.weights]
        loss, total_weight, extras = self.loss(leaves, variables.extras, batch, step.seed)
        gradients = _gradients(self.mean(loss, total_weight), leaves)
        with torch.no_grad():
            weights, slots = self.update(variables, gradients, step)
        return Variables(weights, [e.detach() for e in extras], slots), loss.detach(), total_weight.detach()

    def gradient(self, variables: Variables, batch: Batch) -> tuple[Tensor, Tensor, list[Tensor]]:
        leaves = [w.detach().requires_grad_() for w in variables.weights]
        loss, total_weight, _ = self.loss(leaves, variables.extras, batch)
        return loss.detach(), total_weight.detach(), _gradients(loss, leaves)

    def scores(self, variables: Variables, x: Tensor, n_stages: int | None) -> Tensor:
        with torch.no_grad():
            return self.template(variables.weights, variables.extras, x, n_stages=n_stages).scores

    def input_gradient(self, variables: Variables, x: Tensor, pick: Tensor) -> Tensor:
        leaf = x.detach().requires_grad_()
        return _gradients(self.picked(variables, leaf, pick), [leaf])[0]


def _gradients(value: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(value, leaves, allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, found, strict=True)]


class KerasTorchModel(HostModel):
    """A network, or a user's own Keras model, on torch."""

    def make_engine(self) -> Engine:
        # nothing is traced, so there is nothing to share
        prefix, template = self._source.parts(on_host=True)
        return _TorchEngine(self._network, self._solver, prefix, template)
