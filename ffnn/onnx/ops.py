"""The operations of :class:`ffnn.ops.Ops` as nodes of an ONNX graph.

Calling a network once with them records it. Only the operations that predictions need are implemented.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ffnn.exceptions import ExportError
from ffnn.onnx.tensor import Graph, OnnxTensor
from ffnn.ops import NumpyOps, Tensor

__all__ = ["OnnxOps"]

#: Unary operations and their names in ONNX, which computes the same in float64.
_UNARY = {
    "abs": "Abs", "cos": "Cos", "exp": "Exp", "log": "Log", "log_softmax": "LogSoftmax", "relu": "Relu",
    "sigmoid": "Sigmoid", "sign": "Sign", "sin": "Sin", "sqrt": "Sqrt", "tanh": "Tanh",
}  # fmt: skip
_numpy = NumpyOps()


class OnnxOps:
    """Array operations that add nodes to a graph.

    Parameters
    ----------
    graph : Graph
        The graph.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def tensor(self, value: Tensor, dtype: Any = None) -> OnnxTensor:
        """Return a value as a tensor of the graph, which is a constant unless it is one already."""
        if isinstance(value, OnnxTensor):
            return value
        return self._graph.constant(np.asarray(value, dtype=dtype))

    def __getattr__(self, name: str) -> Any:
        if name not in _UNARY:
            raise ExportError(f"Predictions in ONNX have no operation {name!r}. Use format='savedmodel'.")

        def operation(x: Tensor) -> OnnxTensor:
            x = self.tensor(x)
            return self._graph.node(_UNARY[name], [x], getattr(_numpy, name)(x.like))

        return operation

    # -- elementwise

    def log1p(self, x: Tensor) -> Tensor:
        return self.log(1 + self.tensor(x))

    def square(self, x: Tensor) -> Tensor:
        x = self.tensor(x)
        return x * x

    def maximum(self, x: Tensor, y: Tensor) -> Tensor:
        return self._graph.binary("Max", np.maximum, x, y)

    def minimum(self, x: Tensor, y: Tensor) -> Tensor:
        return self._graph.binary("Min", np.minimum, x, y)

    def where(self, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
        x, y = self._graph.common_dtype(x, y)
        condition = self.tensor(condition)
        return self._graph.node("Where", [condition, x, y], np.where(condition.like, x.like, y.like))

    def cast(self, x: Tensor, dtype: Any) -> Tensor:
        return self._graph.cast(self.tensor(x), dtype)

    def zeros_like(self, x: Tensor) -> Tensor:
        return self._full_like(self.tensor(x), 0)

    def ones_like(self, x: Tensor) -> Tensor:
        return self._full_like(self.tensor(x), 1)

    def _full_like(self, x: OnnxTensor, value: int) -> OnnxTensor:
        import onnx.numpy_helper

        shape = self._graph.node("Shape", [x], np.array(x.like.shape))
        content = onnx.numpy_helper.from_array(np.full(1, value, x.dtype))
        return self._graph.node("ConstantOfShape", [shape], np.full_like(x.like, value), value=content)

    # -- activations; ONNX's have constants in float32, and onnxruntime implements most of them for float32 only

    def elu(self, x: Tensor) -> Tensor:
        return self.where(x > 0, x, self.exp(self.minimum(x, 0)) - 1)

    def softplus(self, x: Tensor) -> Tensor:
        return self.maximum(x, 0) + self.log1p(self.exp(-self.abs(x)))

    def leaky_relu(self, x: Tensor) -> Tensor:
        return self.where(x > 0, x, 0.2 * x)

    def selu(self, x: Tensor) -> Tensor:
        return 1.0507009873554805 * self.where(x > 0, x, 1.6732632423543772 * self.elu(x))

    def silu(self, x: Tensor) -> Tensor:
        return x * self.sigmoid(x)

    def gelu(self, x: Tensor) -> Tensor:
        x = self.tensor(x)
        # the error function in float32, so that in float64 the result is as exact as in float32
        scaled = self.cast(x * 0.7071067811865476, "float32")
        erf = self._graph.node("Erf", [scaled], scaled.like)
        return 0.5 * x * (1 + self.cast(erf, x.dtype))

    # -- reductions and products

    def sum(self, x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
        x = self.tensor(x)
        axes = [] if axis is None else [self.tensor([axis], np.int64)]
        like = np.sum(x.like, axis=axis, keepdims=keepdims, dtype=x.dtype)
        return self._graph.node("ReduceSum", [x, *axes], like, keepdims=int(keepdims))

    def mean(self, x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
        x = self.tensor(x)
        count = self._graph.node("Size", [x], np.array(x.like.size)) if axis is None else self.shape(x)[axis]
        return self.sum(x, axis, keepdims) / self.cast(count, x.dtype)

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        return self._graph.binary("MatMul", np.matmul, x, y)

    def add_bias(self, x: Tensor, bias: Tensor) -> Tensor:
        return self.tensor(x) + bias

    def argmax(self, x: Tensor) -> Tensor:
        x = self.tensor(x)
        return self._graph.node("ArgMax", [x], np.argmax(x.like, axis=-1), axis=-1, keepdims=0)

    # -- shapes and indices

    def shape(self, x: Tensor) -> Sequence[Tensor]:
        x = self.tensor(x)
        shape = self._graph.node("Shape", [x], np.array(x.like.shape))
        return [shape[i] for i in range(x.like.ndim)]

    def _as_shape(self, shape: Sequence[Any]) -> Any:
        """Return the sizes, which may include tensors of the graph, as one vector."""
        if not any(isinstance(n, OnnxTensor) for n in shape):
            return self.tensor(shape, np.int64)
        one = self.tensor([1], np.int64)
        sizes = [self.cast(self.tensor(n, np.int64), "int64") for n in shape]
        return self.concatenate([self._graph.node("Reshape", [n, one], n.like.reshape(1)) for n in sizes])

    def reshape(self, x: Tensor, shape: Sequence[Any]) -> Tensor:
        x, sizes = self.tensor(x), self._as_shape(shape)
        return self._graph.node("Reshape", [x, sizes], x.like.reshape(tuple(sizes.like)))

    def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
        x = self.tensor(x)
        return self._graph.node("Transpose", [x], np.transpose(x.like, axes), perm=list(axes))

    def concatenate(self, xs: Sequence[Tensor], axis: int = 0) -> Tensor:
        tensors = self._graph.common_dtype(*xs)
        return self._graph.node("Concat", tensors, np.concatenate([x.like for x in tensors], axis), axis=axis)

    def arange(self, n: Any, dtype: str) -> Tensor:
        stop = self.cast(self.tensor(n), dtype)
        zero, one = self.tensor(0, dtype), self.tensor(1, dtype)
        return self._graph.node("Range", [zero, stop, one], np.arange(int(stop.like), dtype=dtype))

    def take(self, x: Tensor, indices: Tensor) -> Tensor:
        x, indices = self.tensor(x), self.tensor(indices)
        like = np.take(x.like, indices.like, axis=0, mode="clip")  # the indices of the example may be out of range
        return self._graph.node("Gather", [x, indices], like, axis=0)

    def one_hot(self, x: Tensor, n: int, dtype: str) -> Tensor:
        x = self.tensor(x)
        last = self.tensor([-1], np.int64)
        column = self._graph.node("Unsqueeze", [x, last], x.like[..., None])
        return self.cast(column == np.arange(n), dtype)
