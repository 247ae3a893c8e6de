"""Names for the layers and variables of a user's Keras model that do not depend on the models built before it.

Keras numbers unnamed layers consecutively in a process: the same layer is ``dense`` at first and ``dense_7`` later. A
state that is used in another process needs stable names.
"""

from __future__ import annotations

import re
from typing import Any

from ffnn.builders._keras._private import all_layers

__all__ = ["canonical_names", "variable_names"]


def canonical_names(model: Any) -> dict[str, str]:
    """Return, for each numbered name of the model's layers, the one that it would have in a new process."""
    layers = list(all_layers(model))
    automatic = {layer.name: _snake(type(layer).__name__) for layer in layers}
    automatic = {name: base for name, base in automatic.items() if re.fullmatch(rf"{re.escape(base)}(_\d+)?", name)}
    taken = {layer.name for layer in layers} - automatic.keys()
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for name, base in automatic.items():
        canonical = ""
        while not canonical or canonical in taken:
            n = counts.get(base, 0)
            counts[base] = n + 1
            canonical = f"{base}_{n}" if n else base
        names[name] = canonical
    return names


def variable_names(model: Any) -> list[str]:
    """Return the names of the model's trained variables and then of its other weights: their Keras paths."""
    canonical = canonical_names(model)
    names: dict[str, None] = {}
    for v in [*model.trainable_variables, *model.non_trainable_weights]:
        *parts, own = v.path.split("/")
        path = "/".join([*(canonical.get(part, part) for part in parts), re.sub(r"^variable_\d+$", "variable", own)])
        unique, n = path, 1
        while unique in names:
            unique, n = f"{path}_{n}", n + 1
        names[unique] = None
    return list(names)


def _snake(name: str) -> str:
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
