"""Many small weights in one variable: a step of the solver is one operation then, whatever the number of weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ffnn.builders._tensorflow.memory import variable_of
from ffnn.model import Array
from ffnn.solver import Solver

__all__ = ["MOST_VALUES", "PackedVariables", "Packing"]

Tensor = Any

#: The most values in all weights that are packed. Each step copies them and their gradient, which of more than these
#: takes longer than what is saved: some microseconds an operation.
MOST_VALUES = 2**16


class Packing:
    """Where each of several weights lies in a vector of them all.

    Parameters
    ----------
    shapes : sequence of tuple
        The weights' shapes.
    dtype : str
        Their dtype.
    """

    def __init__(self, shapes: Sequence[Sequence[int]], dtype: str) -> None:
        self.shapes = [tuple(shape) for shape in shapes]
        self.sizes = [int(np.prod(shape)) for shape in self.shapes]
        self.dtype = dtype

    @classmethod
    def of(cls, specs: Sequence[tuple[Sequence[int], str]], solver: Solver) -> Packing | None:
        """Return how to pack weights of such shapes and dtypes, where it can be done and saves time."""
        if len(specs) < 2 or len({dtype for _, dtype in specs}) > 1:
            return None
        packing = cls([shape for shape, _ in specs], specs[0][1])
        return packing if solver.elementwise and sum(packing.sizes) <= MOST_VALUES else None

    def mask(self, marks: Sequence[bool]) -> bool | Array:
        """Return 1 where a weight is marked and 0 where not; or what they all have in common."""
        if len(set(marks)) == 1:
            return marks[0]
        return np.repeat(np.array(marks, self.dtype), self.sizes)

    def pack(self, parts: Sequence[Tensor]) -> Tensor:
        """Return weights, or what has their shapes, as one vector."""
        return tf.concat([p if p.shape.rank == 1 else tf.reshape(p, [-1]) for p in parts], 0)

    def unpack(self, vector: Tensor) -> list[Tensor]:
        """Return what is in a vector."""
        parts = zip(tf.split(vector, self.sizes), self.shapes, strict=True)
        return [part if len(shape) == 1 else tf.reshape(part, shape) for part, shape in parts]


class PackedVariables:
    """The variables of one fit that its steps change in place of the model's.

    Parameters
    ----------
    packing : Packing
        Where each weight lies.
    """

    def __init__(self, packing: Packing) -> None:
        self._packing = packing
        self._packed: list[Any] = []
        self._ahead = False

    def take(self, weights: Sequence[Any], slots: Sequence[Sequence[Any]]) -> tuple[list[Any], list[list[Any]]]:
        """Return one variable of all weights, and those of their slots, ahead of the model's from now on."""
        if not self._ahead:
            values = [np.concatenate([v.numpy().ravel() for v in kind]) for kind in _kinds(weights, slots)]
            if self._packed:
                for variable, value in zip(self._packed, values, strict=True):
                    variable.assign(value)
            else:
                self._packed = [variable_of(value, self._packing.dtype) for value in values]
        self._ahead = True
        return self._packed[:1], [self._packed[1:]]

    def give(self, weights: Sequence[Any], slots: Sequence[Sequence[Any]]) -> None:
        """Let the model's variables have the values, if they are behind."""
        if not self._ahead:
            return
        for kind, packed in zip(_kinds(weights, slots), self._packed, strict=True):
            values = np.split(packed.numpy(), np.cumsum(self._packing.sizes)[:-1])
            for variable, value, shape in zip(kind, values, self._packing.shapes, strict=True):
                variable.assign(value.reshape(shape))
        self._ahead = False


def _kinds(weights: Sequence[Any], slots: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    """Return all weights, and all slots of each name."""
    return [weights, *zip(*slots, strict=True)]
