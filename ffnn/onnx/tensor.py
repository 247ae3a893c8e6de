"""ONNX graphs and their tensors."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ffnn.exceptions import ExportError
from ffnn.model import Array

__all__ = ["Array", "Graph", "Node", "OnnxTensor"]

Operand = Any


@dataclass(frozen=True)
class Node:
    """An operation in a graph: its type, the names of its inputs and its output, and its attributes."""

    op_type: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any]


@dataclass
class Graph:
    """The ONNX operations of a network, in order.

    Parameters
    ----------
    prefix : str
        The prefix of the names of its values.
    """

    prefix: str
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)

    def constant(self, value: Array) -> OnnxTensor:
        """Return a tensor that is stored in the model's file."""
        name = f"{self.prefix}_constant_{len(self.constants)}"
        self.constants[name] = value
        return OnnxTensor(self, name, value)

    def node(self, op_type: str, inputs: Sequence[OnnxTensor], like: Any, **attributes: Any) -> OnnxTensor:
        """Add an operation and return its output; ``like`` is NumPy's result for the inputs' ``like``."""
        name = f"{self.prefix}_{len(self.nodes)}"
        self.nodes.append(Node(op_type, [x.name for x in inputs], name, attributes))
        return OnnxTensor(self, name, np.asarray(like))

    def cast(self, x: OnnxTensor, dtype: Any) -> OnnxTensor:
        """Return a tensor of that dtype."""
        import onnx.helper

        dtype = np.dtype(dtype)
        if x.dtype == dtype:
            return x
        return self.node("Cast", [x], x.like.astype(dtype), to=onnx.helper.np_dtype_to_tensor_dtype(dtype))

    def common_dtype(self, *operands: Operand) -> list[OnnxTensor]:
        """Return the operands as tensors of one dtype: that of the tensors, or float64 for integers and fractions."""
        tensors = [x.like for x in operands if isinstance(x, OnnxTensor)]
        others = [np.asarray(x) for x in operands if not isinstance(x, OnnxTensor)]
        dtype = np.result_type(*tensors) if tensors else np.result_type(*others)
        if dtype.kind in "biu" and any(x.dtype.kind == "f" for x in others):
            dtype = np.dtype(np.float64)
        return [
            self.cast(x, dtype) if isinstance(x, OnnxTensor) else self.constant(np.asarray(x, dtype=dtype))
            for x in operands
        ]

    def binary(self, op_type: str, function: Callable[[Any, Any], Any], x: Operand, y: Operand) -> OnnxTensor:
        """Add an operation on two operands, at least one of them a tensor, and return its output."""
        x, y = self.common_dtype(x, y)
        if op_type == "Div" and x.dtype.kind in "biu":
            x, y = self.cast(x, np.float64), self.cast(y, np.float64)
        with np.errstate(all="ignore"):
            return self.node(op_type, [x, y], function(x.like, y.like))


class OnnxTensor:
    """A value that a model computes when it runs.

    Parameters
    ----------
    graph : Graph
        The graph of the value.
    name : str
        Its name in the graph.
    like : ndarray
        NumPy's result for some example rows, which has the dtype and the axes of the value.
    """

    __array_ufunc__ = None  # an array on the left defers to this class's operators

    def __init__(self, graph: Graph, name: str, like: Array) -> None:
        self.graph = graph
        self.name = name
        self.like = like

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype."""
        return self.like.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a constant; that of other values is unknown until the model runs."""
        if self.name in self.graph.constants:
            return tuple(self.like.shape)
        raise ExportError("The shape of a value is not known before an ONNX model runs. Use ops.shape(x) in the layer.")

    def __getitem__(self, key: Any) -> OnnxTensor:
        x: OnnxTensor = self
        axis = 0
        for part in key if isinstance(key, tuple) else (key,):
            if isinstance(part, int):
                index = self.graph.constant(np.array(part))
                x = self.graph.node("Gather", [x, index], np.take(x.like, part, axis), axis=axis)
                continue
            if not isinstance(part, slice):
                raise ExportError(f"x[{key!r}]: expected integers and slices, as ONNX supports nothing else.")
            if part != slice(None):
                first, last, step = part.start or 0, part.stop, part.step or 1
                bounds = (first, np.iinfo(np.int64).max if last is None else last, axis, step)
                constants = [self.graph.constant(np.array([bound])) for bound in bounds]
                x = self.graph.node("Slice", [x, *constants], x.like[(slice(None),) * axis + (part,)])
            axis += 1
        return x

    def __neg__(self) -> OnnxTensor:
        return self.graph.node("Neg", [self], -self.like)

    def __invert__(self) -> OnnxTensor:
        return self.graph.node("Not", [self], ~self.like)

    def __add__(self, other: Operand) -> OnnxTensor:
        return self.graph.binary("Add", operator.add, self, other)

    def __radd__(self, other: Operand) -> OnnxTensor:
        return self.graph.binary("Add", operator.add, other, self)

    def __sub__(self, other: Operand) -> OnnxTensor:
        return self.graph.binary("Sub", operator.sub, self, other)

    def __rsub__(self, other: Operand) -> OnnxTensor:
        return self.graph.binary("Sub", operator.sub, other, self)

    def __mul__(self, other: Operand) -> OnnxTensor:
        return self.graph.binary("Mul", operator.mul, self, other)

    def __rmul__(self, other: Operand) -> OnnxTensor:
        return self.graph.binary("Mul", operator.mul, other, self)

    def __truediv__(self, other: Operand) -> OnnxTensor:
        return self.graph.binary("Div", operator.truediv, self, other)

    def __rtruediv__(self, other: Operand) -> OnnxTensor:
        return self.graph.binary("Div", operator.truediv, other, self)

    def __pow__(self, other: Operand) -> OnnxTensor:
        return self.graph.binary("Pow", operator.pow, self, other)

    def __matmul__(self, other: Operand) -> OnnxTensor:
        return self.graph.binary("MatMul", operator.matmul, self, other)

    def __and__(self, other: Operand) -> OnnxTensor:
        return self.graph.binary("And", operator.and_, self, other)

    def __or__(self, other: Operand) -> OnnxTensor:
        return self.graph.binary("Or", operator.or_, self, other)

    def __gt__(self, other: Operand) -> OnnxTensor:
        return self.graph.binary("Greater", operator.gt, self, other)

    def __ge__(self, other: Operand) -> OnnxTensor:
        return self.graph.binary("GreaterOrEqual", operator.ge, self, other)

    def __lt__(self, other: Operand) -> OnnxTensor:
        return self.graph.binary("Less", operator.lt, self, other)

    def __le__(self, other: Operand) -> OnnxTensor:
        return self.graph.binary("LessOrEqual", operator.le, self, other)

    def __eq__(self, other: object) -> OnnxTensor:  # type: ignore[override]  # as in NumPy
        return self.graph.binary("Equal", operator.eq, self, other)
