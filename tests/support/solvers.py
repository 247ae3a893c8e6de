"""Steps of a solver through the interface that builders use."""

from __future__ import annotations

import numpy as np

from ffnn.ops import NumpyOps

RATE = 0.05
GRADIENTS = np.random.default_rng(0).normal(size=(7, 3))


def steps(solver, n=7):
    """Return the weights after each step of a solver, through the interface that builders use."""
    weight = np.ones(3)
    slots = {name: np.full(3, value) for name, value in solver.slots.items()}
    sizes = solver.step_sizes(np.full(n, RATE), 0)
    path = []
    for gradient, size in zip(GRADIENTS[:n], sizes, strict=True):
        before = weight.copy(), {name: array.copy() for name, array in slots.items()}
        new, new_slots = solver.update(NumpyOps(), weight, gradient, slots, size, "float64")
        np.testing.assert_array_equal(weight, before[0])
        for name, array in slots.items():
            np.testing.assert_array_equal(array, before[1][name])
        assert set(new_slots) == set(slots)
        weight, slots = new, new_slots
        path.append(weight)
    return np.array(path)
