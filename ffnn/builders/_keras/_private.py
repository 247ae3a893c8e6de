"""Keras's private names that ffnn uses, each with what happens in a version that lacks it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

__all__ = ["FIRST_PROFILED_BATCH", "all_layers", "drop_model", "free_value", "overrides", "seed_unseeded"]

#: The attribute of ``keras.callbacks.TensorBoard`` with the first batch of its ``profile_batch``, 0 for no profile;
#: without it the parameter is not checked.
FIRST_PROFILED_BATCH = "_start_batch"


def all_layers(model: Any) -> Iterator[Any]:
    """Yield a model and all layers in it, those inside of other layers too.

    ``keras.Layer._flatten_layers``; without it, the public ``layers`` of each model and layer.
    """
    if hasattr(model, "_flatten_layers"):
        yield from model._flatten_layers()
        return
    yield model
    for layer in getattr(model, "layers", ()):
        yield from all_layers(layer)


def seed_unseeded(generator: Any) -> None:
    """Set the seed of a generator without one: on torch, Keras would draw dropout from torch's global generator.

    ``keras.random.SeedGenerator._initial_seed``; without it the generator stays as it is, and a fit on torch is not
    repeatable.
    """
    if isinstance(generator, keras.random.SeedGenerator) and getattr(generator, "_initial_seed", 0) is None:
        generator._initial_seed = 0


def free_value(variable: Any) -> None:
    """Free the memory of a variable's value, which is never read.

    ``keras.Variable._value``; without it the memory stays in use.
    """
    if hasattr(variable, "_value"):
        variable._value = None


def drop_model(callback: Any) -> None:
    """Remove the model from a callback.

    ``keras.callbacks.Callback._model``; without it the callback keeps the model in memory.
    """
    if hasattr(callback, "_model"):
        callback._model = None


def overrides(method: Any) -> bool:
    """Return whether a callback's method is not the empty one of ``keras.callbacks.Callback``.

    ``_is_default``, which Keras sets on the empty ones; without it every method counts.
    """
    return not getattr(method, "_is_default", False)
