"""The array operations as nodes of an ONNX graph: each does what NumPy's does."""

from __future__ import annotations

import inspect

import numpy as np
import onnx
import onnxruntime
import pytest

from ffnn.exceptions import ExportError
from ffnn.onnx.ops import OnnxOps
from ffnn.onnx.tensor import Graph, OnnxTensor
from ffnn.ops import NumpyOps, Ops
from tests.test_ops import ARGUMENTS, X

#: What no prediction from dense rows needs.
OTHERS = {"sigmoid_cross_entropy", "softmax_cross_entropy", "take_rows", "scatter", "sparse_matmul", "uniform"}
NAMES = {name for name, _ in inspect.getmembers(Ops, inspect.isfunction) if not name.startswith("_")}


def run(function, array):
    """Return what the graph of a function computes."""
    graph = Graph("test")
    # the example has other rows than the run, whose number must not be in the graph
    result = function(OnnxOps(graph), OnnxTensor(graph, "x", array[:2]))
    kind = onnx.helper.np_dtype_to_tensor_dtype
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node(n.op_type, n.inputs, [n.output], **n.attributes) for n in graph.nodes],
            "test",
            [onnx.helper.make_tensor_value_info("x", kind(array.dtype), [None, *array.shape[1:]])],
            [onnx.helper.make_tensor_value_info(result.name, kind(result.dtype), [None] * result.like.ndim)],
            [onnx.numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
        ir_version=9,
    )
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": array})[0]


CALLS = {
    "log": lambda ops, x: ops.log(ops.abs(x) + 0.1),
    "log1p": lambda ops, x: ops.log1p(ops.abs(x)),
    "sqrt": lambda ops, x: ops.sqrt(ops.abs(x)),
    "maximum": lambda ops, x: ops.maximum(x, 0.5 * np.ones(4)),
    "minimum": lambda ops, x: ops.minimum(x, -x),
    "where": lambda ops, x: ops.where(x > 0, x, ops.zeros_like(x)),
    "cast": lambda ops, x: ops.cast(x, "int32"),
    "sum": lambda ops, x: ops.sum(x, 1) + ops.sum(x) + ops.sum(x, axis=0, keepdims=True)[0, 0],
    "mean": lambda ops, x: ops.mean(x, axis=1, keepdims=True) + ops.mean(x) + ops.mean(x, 0)[1],
    "add_bias": lambda ops, x: ops.add_bias(x, ARGUMENTS["add_bias"][1]),
    "matmul": lambda ops, x: ops.matmul(x, ARGUMENTS["matmul"][1]),
    "shape": lambda ops, x: x * ops.cast(ops.shape(x)[0], "float64"),
    "reshape": lambda ops, x: ops.reshape(x, (ops.shape(x)[1], -1)),
    "transpose": lambda ops, x: ops.transpose(x, (1, 0)),
    "concatenate": lambda ops, x: ops.concatenate([x, 2 * x], 1),
    "arange": lambda ops, x: ops.arange(ops.shape(x)[0], dtype="int32"),
    "take": lambda ops, x: ops.take(x, ops.argmax(x)[:1]),
    "one_hot": lambda ops, x: ops.one_hot(ops.argmax(x), 4, "float32"),
    "operators": lambda ops, x: (1 - x) / (2 + x * x) + 3 ** np.array(2) * (-x) ** 2 - x[:, 1:2] + x[0],
    "integers": lambda ops, x: ops.argmax(x) / 2 + 0.5 * ops.argmax(x),
    "logic": lambda ops, x: ((x >= 0) & (x < 1)) | ~(x <= 2) | (x == 0),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted((NAMES - OTHERS) | CALLS.keys()))
def test_numpy_and_onnx_agree(name, dtype):
    call = CALLS.get(name, lambda ops, x: getattr(ops, name)(x))
    expected = call(NumpyOps(), X.astype(dtype))
    result = run(call, X.astype(dtype))
    assert result.shape == np.shape(expected)
    exact = dtype == "float64" and name != "gelu"
    np.testing.assert_allclose(result, expected, rtol=1e-12 if exact else 1e-5, atol=1e-14 if exact else 1e-6)


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_what_is_not_written_in_onnx_is_a_named_error(name):
    with pytest.raises(ExportError, match=f"{name!r}.*format='savedmodel'"):
        getattr(OnnxOps(Graph("test")), name)(X)


def test_a_shape_that_is_not_known_yet_is_a_named_error():
    with pytest.raises(ExportError, match="ops.shape"):
        run(lambda ops, x: ops.reshape(x, (x.shape[0], 2, 2)), X)
    with pytest.raises(ExportError, match="integers and slices"):
        run(lambda ops, x: x[None], X)
