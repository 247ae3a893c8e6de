"""Seeds for Keras layers that were given none, and new initial weights for a model."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from ffnn.builders._keras._private import all_layers

__all__ = ["python_random", "redraw"]

_lock = threading.RLock()


@contextmanager
def python_random(seed: int) -> Iterator[None]:
    """Seed Python's generator, from which Keras draws the seeds of new layers; restore its state at the end."""
    with _lock:
        state = random.getstate()
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(state)


def redraw(model: Any, rng: np.random.Generator) -> list[Any]:
    """Return a model's weights; those drawn by an initializer without a seed are drawn anew.

    Other weights, such as pretrained ones, are kept.
    """
    initializers = {}
    for layer in all_layers(model):
        for v in layer.weights:
            found = getattr(layer, f"{v.name}_initializer", None)
            if isinstance(found, keras.initializers.Initializer):
                initializers[id(v)] = found
    values = []
    for v in [*model.trainable_variables, *model.non_trainable_weights]:
        value = _array(v)
        seed = int(rng.integers(2**31 - 1))
        found = initializers.get(id(v))
        config = found.get_config() if found is not None else {}
        if found is not None and config.get("seed", 0) is None and np.array_equal(value, _draw(found, v)):
            value = _draw(type(found).from_config({**config, "seed": seed}), v)
        values.append(value)
    return values


def _draw(initializer: Any, variable: Any) -> Any:
    dtype = keras.backend.standardize_dtype(variable.dtype)
    return _array(initializer(variable.shape, dtype=dtype))


def _array(value: Any) -> Any:
    return np.array(keras.ops.convert_to_numpy(keras.ops.convert_to_tensor(value)))
