"""Weight initializers in NumPy, so that all builders start from the same weights.

Glorot's and LeCun's scales: X. Glorot and Y. Bengio (2010), "Understanding the difficulty of training deep feedforward
neural networks"; G. Klambauer et al. (2017), "Self-normalizing neural networks"; K. He et al. (2015), "Delving deep
into rectifiers".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ffnn.model import Array

__all__ = ["INITIALIZERS", "draw"]

Initializer = Callable[[np.random.Generator, tuple[int, ...], np.dtype[Any]], Array]


def _uniform(scale: Callable[[int, int], float]) -> Initializer:
    """Return an initializer that draws uniformly from ±√(scale(fan_in, fan_out))."""

    def initializer(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        bound = np.sqrt(scale(shape[0], shape[-1]))
        values = rng.random(shape, dtype=dtype.type)
        values *= dtype.type(2 * bound)  # in place, since weights may have a hundred million entries
        values -= dtype.type(bound)
        return values

    return initializer


def _lecun_normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    values = rng.standard_normal(shape, dtype=dtype.type)
    values *= dtype.type(1 / np.sqrt(shape[0]))
    return values


INITIALIZERS: dict[str, Initializer] = {
    "glorot_uniform": _uniform(lambda fan_in, fan_out: 6 / (fan_in + fan_out)),
    "he_uniform": _uniform(lambda fan_in, fan_out: 6 / fan_in),
    "lecun_normal": _lecun_normal,
    "standard_normal": lambda rng, shape, dtype: rng.standard_normal(shape, dtype=dtype.type),
    "zeros": lambda rng, shape, dtype: np.zeros(shape, dtype),
    "ones": lambda rng, shape, dtype: np.ones(shape, dtype),
}


def draw(name: str, rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    """Return an array of ``shape`` and ``dtype`` (float32 or float64) drawn by the initializer called ``name``."""
    return INITIALIZERS[name](rng, shape, np.dtype(dtype))
