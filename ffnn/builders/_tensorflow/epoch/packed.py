"""Packs many small weights into one variable, so that a solver's step is one operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ffnn.builders._state import Variables
from ffnn.builders._tensorflow.memory import variable_of
from ffnn.model import Array
from ffnn.ops import Tensor
from ffnn.solver import Solver

__all__ = ["MOST_VALUES", "PackedLayout", "PackedVariables"]


#: The largest number of values that are packed. Each step copies them and their gradient; beyond this size the copy
#: takes longer than it saves, which is a few microseconds per operation.
MOST_VALUES = 2**16


class PackedLayout:
    """The positions of several weights in one vector.

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
    def of(cls, specs: Sequence[tuple[Sequence[int], str]], solver: Solver) -> PackedLayout | None:
        """Return the layout of weights of these shapes and dtypes, or None where packing is impossible or no faster."""
        if len(specs) < 2 or len({dtype for _, dtype in specs}) > 1:
            return None
        layout = cls([shape for shape, _ in specs], specs[0][1])
        return layout if _is_elementwise(solver) and sum(layout.sizes) <= MOST_VALUES else None

    def mask(self, marks: Sequence[bool]) -> bool | Array:
        """Return a vector with 1 where a weight is marked and 0 elsewhere; one bool where all marks are equal."""
        if len(set(marks)) == 1:
            return marks[0]
        return np.repeat(np.array(marks, self.dtype), self.sizes)

    def pack(self, parts: Sequence[Tensor]) -> Tensor:
        """Return tensors of the weights' shapes as one vector."""
        return tf.concat([p if p.shape.rank == 1 else tf.reshape(p, [-1]) for p in parts], 0)

    def unpack(self, vector: Tensor) -> list[Tensor]:
        """Return the tensors in a vector, each in its weight's shape."""
        parts = zip(tf.split(vector, self.sizes), self.shapes, strict=True)
        return [part if len(shape) == 1 else tf.reshape(part, shape) for part, shape in parts]


class PackedVariables:
    """The packed variables of one fit, which its steps change instead of the model's variables.

    Parameters
    ----------
    layout : PackedLayout
        The positions of the weights.
    """

    def __init__(self, layout: PackedLayout) -> None:
        self._layout = layout
        self._packed: list[Any] = []
        self._newer = False  # than the model's variables

    def pack(self, variables: Variables) -> Variables:
        """Return the packed variables with the model's values, which are out of date from now on."""
        if not self._newer:
            values = [np.concatenate([v.numpy().ravel() for v in kind]) for kind in _kinds(variables)]
            if self._packed:
                for variable, value in zip(self._packed, values, strict=True):
                    variable.assign(value)
            else:
                self._packed = [variable_of(value, self._layout.dtype) for value in values]
        self._newer = True
        return Variables(self._packed[:1], variables.extras, [self._packed[1:]])

    def unpack(self, variables: Variables) -> None:
        """Write the values back to the model's variables, if those are out of date."""
        if not self._newer:
            return
        for kind, packed in zip(_kinds(variables), self._packed, strict=True):
            values = np.split(packed.numpy(), np.cumsum(self._layout.sizes)[:-1])
            for variable, value, shape in zip(kind, values, self._layout.shapes, strict=True):
                variable.assign(value.reshape(shape))
        self._newer = False


def _is_elementwise(solver: Solver) -> bool:
    """Return whether a solver declares its steps elementwise; a subclass with its own ``update`` declares it anew."""
    classes = type(solver).__mro__
    owner = next(k for k, cls in enumerate(classes) if "update" in vars(cls))
    return solver.elementwise and any("elementwise" in vars(cls) for cls in classes[: owner + 1])


def _kinds(variables: Variables) -> list[Sequence[Any]]:
    """Return the weights, and the slots of each name."""
    return [variables.weights, *zip(*variables.slots, strict=True)]
