"""A network's model as Keras layers on TensorFlow: an epoch is one call, as in the ``tf`` builder."""

from __future__ import annotations

from typing import Any

import numpy as np

from ffnn.builders._cache import BoundedCache
from ffnn.builders._devices import in_scope
from ffnn.builders._keras.source import Source
from ffnn.builders._tensorflow import ops
from ffnn.builders._tensorflow.model import ProgramModel
from ffnn.builders._tensorflow.program import Program, program_key
from ffnn.model import Arrays
from ffnn.network import Network
from ffnn.solver import Solver

__all__ = ["KerasTensorFlowModel"]

_programs: BoundedCache[tuple[Program, Any, Any]] = BoundedCache(64)


class KerasTensorFlowModel(ProgramModel):
    """A network, or a user's own Keras model, on TensorFlow."""

    def __init__(self, network: Network, solver: Solver, source: Source, device: str | None = None) -> None:
        self._source = source
        key = program_key(source.traced_key, solver)
        program, trainable, specs = _programs.get(key, lambda: _make_program(network, solver, source))
        source.forget()
        super().__init__(network, solver, program, trainable, specs, device)

    @in_scope
    def initial_weights(self, rng: np.random.Generator) -> Arrays:
        return self._source.initial_weights(rng)

    @property
    @in_scope
    def native(self) -> Any:
        """A new ``keras.Model`` with the current weights, the caller's own from then on."""
        return self._source.public(self.get_state().weights)


def _make_program(network: Network, solver: Solver, source: Source) -> tuple[Program, Any, Any]:
    prefix, template = source.parts(on_host=False)
    names = list(prefix.weights)
    decays = {name: weight.decays for name, weight in prefix.weights.items()} | template.trainable
    specs = {name: (weight.shape, network.dtype) for name, weight in prefix.weights.items()} | dict(template.specs)
    n = len(names)

    def forward(
        weights: list[Any], extras: list[Any], x: Any, scalars: Any, seed: Any, row_weight: Any, training: bool,
        n_stages: int | None = None,
    ) -> tuple[Any, list[Any], Any]:  # fmt: skip
        if network.input.sparse:
            named = dict(zip(names, weights[:n], strict=True))
            part = prefix.first(n_stages)
            context = part.training_context(scalars, seed, row_weight) if training else None
            x = part.apply(ops, x, named, context, start=prefix.n_entry)
            x = x.dense(ops) if hasattr(x, "dense") else x
        rest = None if n_stages is None else n_stages - len(prefix.stages)
        return template(weights[n:], extras, x, seed, training, scalars, row_weight, n_stages=rest)

    template.release()
    entry = prefix.first(prefix.n_entry)
    program = Program(network, solver, decays, specs, prefix.by_feature, forward, entry, may_fill=source.may_fill)
    return program, decays, specs
