"""A network's model as Keras layers on TensorFlow: an epoch is one call into the engine, as in the ``tf`` builder."""

from __future__ import annotations

from typing import Any

import numpy as np

from ffnn.builders._cache import BoundedCache
from ffnn.builders._devices import in_scope
from ffnn.builders._forward import Outputs, StepInputs
from ffnn.builders._keras.source import Source
from ffnn.builders._tensorflow import ops
from ffnn.builders._tensorflow.forward import Architecture
from ffnn.builders._tensorflow.model import ProgramModel
from ffnn.builders._tensorflow.program import Program, program_key
from ffnn.model import Arrays
from ffnn.network import Network
from ffnn.solver import Solver

__all__ = ["KerasTensorFlowModel"]

_programs: BoundedCache[Program] = BoundedCache(64)


class KerasTensorFlowModel(ProgramModel):
    """A network, or a user's own Keras model, on TensorFlow."""

    builder = "keras"

    def __init__(self, network: Network, solver: Solver, source: Source, device: str | None = None) -> None:
        self._source = source
        key = program_key(source.traced_key, network, solver)
        program = _programs.get(key, lambda: Program(_architecture(network, source), solver))
        source.forget()
        super().__init__(network, solver, program, device)

    @in_scope
    def initial_weights(self, rng: np.random.Generator) -> Arrays:
        return self._source.initial_weights(rng)

    @property
    @in_scope
    def native(self) -> Any:
        """A new ``keras.Model`` with the current weights; changing it does not change this model."""
        return self._source.public(self.get_state().weights)


def _architecture(network: Network, source: Source) -> Architecture:
    """Return the network with a forward pass of Keras layers; the stages that act on sparse rows come before them."""
    prefix, template = source.parts(on_host=False)
    names = list(prefix.weights)
    n = len(names)

    def forward(
        *, weights: Any, extras: Any, x: Any, training: StepInputs | None = None, n_stages: int | None = None
    ) -> Outputs:
        if network.input.sparse:
            named = dict(zip(names, weights[:n], strict=True))
            part = prefix.first(n_stages)
            context = None if training is None else part.training_context(*training)
            x = part.apply(ops, x, named, context, start=prefix.n_entry)
            x = x.dense(ops) if hasattr(x, "dense") else x
        rest = None if n_stages is None else n_stages - len(prefix.stages)
        return template(weights[n:], extras, x, training=training, n_stages=rest)

    template.release()
    return Architecture(
        network,
        forward,
        entry=prefix.first(prefix.n_entry),
        specs={name: (w.shape, network.dtype) for name, w in prefix.weights.items()} | dict(template.specs),
        decays={name: weight.decays for name, weight in prefix.weights.items()} | template.trainable,
        by_feature=prefix.by_feature,
        may_pad=source.may_pad,
    )
