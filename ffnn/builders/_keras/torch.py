"""Keras on torch: batch by batch, by autograd."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ffnn.builders._keras.host import Engine, HostModel, Tensor

__all__ = ["KerasTorchModel"]


class _TorchEngine(Engine):
    def step(
        self, weights: list[Tensor], extras: list[Tensor], slots: list[list[Tensor]], batch: Sequence[Tensor],
        seed: Tensor, step_size: Tensor, shrinkage: Tensor, decay: Tensor, clipping: dict[str, Tensor],
    ) -> tuple[list[Tensor], list[Tensor], list[list[Tensor]], Tensor, Tensor]:  # fmt: skip
        leaves = [w.detach().requires_grad_() for w in weights]
        loss, mass, updates = self.loss(leaves, extras, batch, seed, True)
        gradients = _gradients(self.mean(loss, mass), leaves)
        with torch.no_grad():
            weights, slots = self.update(weights, slots, gradients, step_size, shrinkage, decay, clipping)
        return weights, [u.detach() for u in updates], slots, loss.detach(), mass.detach()

    def gradient(
        self, weights: list[Tensor], extras: list[Tensor], batch: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        leaves = [w.detach().requires_grad_() for w in weights]
        loss, mass, _ = self.loss(leaves, extras, batch, None, False)
        return loss.detach(), mass.detach(), _gradients(loss, leaves)

    def scores(self, weights: list[Tensor], extras: list[Tensor], x: Tensor, n_stages: int | None) -> Tensor:
        with torch.no_grad():
            return self.template(weights, extras, x, None, False, n_stages=n_stages)[0]

    def slopes(self, weights: list[Tensor], extras: list[Tensor], x: Tensor, pick: Tensor) -> Tensor:
        leaf = x.detach().requires_grad_()
        return _gradients(self.picked(weights, extras, leaf, pick), [leaf])[0]


def _gradients(value: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(value, leaves, allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, found, strict=True)]


class KerasTorchModel(HostModel):
    """A network, or a user's own Keras model, on torch."""

    def make_engine(self) -> Engine:
        # nothing is traced, so that there is nothing to share
        prefix, template = self._source.parts(on_host=True)
        return _TorchEngine(self._network, self._solver, prefix, template)
