"""Adds a network to the ONNX model that skl2onnx makes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ffnn.exceptions import ExportError
from ffnn.model import Arrays
from ffnn.network import Network
from ffnn.onnx._private import parse_simple_model
from ffnn.onnx.ops import OnnxOps
from ffnn.onnx.tensor import Array, Graph, OnnxTensor
from ffnn.ops import NumpyOps, SparseRows

__all__ = ["add_operations", "allow_options", "convert", "output_types"]


def allow_options(kind: type) -> None:
    """Make skl2onnx accept for a class of estimators the options that it passes to every classifier of a pipeline.

    The options for the form of probabilities are ignored: they are always a matrix.
    """
    from skl2onnx import update_registered_converter

    def calculate(operator: Any) -> None:
        operator.raw_operator.onnx_shape_calculator()(operator)

    def add(scope: Any, operator: Any, container: Any) -> None:
        operator.raw_operator.onnx_converter()(scope, operator, container)

    def parse(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
        return parse_simple_model(scope, model, inputs, custom_parsers)

    allowed = {"zipmap": None, "nocl": None, "output_class_labels": None}
    alias = f"Ffnn{kind.__name__}"
    update_registered_converter(kind, alias, calculate, add, overwrite=True, parser=parse, options=allowed)


def output_types(network: Network) -> dict[str, Any]:
    """Return the ONNX type of each output by name."""
    from skl2onnx.common import data_types

    kinds = {
        "b": data_types.BooleanTensorType, "f": data_types.DoubleTensorType, "i": data_types.Int64TensorType,
        "U": data_types.StringTensorType,
    }  # fmt: skip
    outputs = network.output.export(NumpyOps(), np.zeros((1, network.n_outputs), network.dtype))
    return {name: kinds[value.dtype.kind]([None, *value.shape[1:]]) for name, value in outputs.items()}


def convert(network: Network, weights: Arrays, scope: Any, operator: Any, container: Any) -> None:
    """Add the operations of a network to the model; a converter for skl2onnx.

    Parameters
    ----------
    network : Network
        The description.
    weights : dict of str to ndarray
        The trained weights.
    scope, operator, container
        skl2onnx's arguments: the names in use, the inputs and outputs, and the container of the nodes.

    Raises
    ------
    ExportError
        If the network cannot be expressed in ONNX's operations.
    """
    for other in scope.operators.values():
        if other.raw_operator is not None and any(result in other.inputs for result in operator.outputs):
            raise ExportError(
                f"{type(operator.raw_operator).__name__} is in the middle of a pipeline, where it transforms; "
                "in ONNX it can only predict. Make it the last step."
            )
    network = dataclasses.replace(network, compute_dtype=None)  # onnxruntime lacks bfloat16 on CPUs
    if network.weights.keys() - weights.keys():
        raise ExportError(
            "The network was made by the builder, such as KerasBuilder(build=...), so ffnn cannot translate it. "
            "Use format='savedmodel' or 'keras', or the engine's own export: estimator.model_.export(path)."
        )

    def outputs(ops: OnnxOps, x: OnnxTensor) -> list[Any]:
        tensors = {name: ops.tensor(weights[name]) for name in network.weights}
        scores = network.apply(ops, network.entering(ops, x), tensors)
        scores = scores.dense(ops) if isinstance(scores, SparseRows) else scores
        # ONNX cannot raise errors: NaN and infinity give NaN, even where an activation would return a number
        scores = scores + ops.sum(x * 0, axis=1, keepdims=True)
        return list(network.output.export(ops, scores).values())

    try:
        add_operations(outputs, network.n_features, network.dtype, scope, operator, container)
    except ExportError:
        raise
    except Exception as error:  # a third-party layer may raise anything for these tensors
        raise ExportError(
            f"The network cannot be written in ONNX's operations: {type(error).__name__}: {error} If it calls an "
            "engine's own functions, use format='savedmodel'."
        ) from error


def add_operations(
    function: Callable[[OnnxOps, OnnxTensor], list[Any]],
    width: int,
    dtype: str,
    scope: Any,
    operator: Any,
    container: Any,
) -> None:
    """Add the operations that a function calls to the model.

    Parameters
    ----------
    function : callable
        ``function(ops, x)`` returns the outputs of ``operator``.
    width : int
        The number of features.
    dtype : str
        The dtype of ``x``.
    scope, operator, container
        skl2onnx's arguments, as for :func:`convert`.
    """
    from skl2onnx.common.data_types import guess_numpy_type

    graph = Graph(scope.get_unique_operator_name("ffnn"))
    ops = OnnxOps(graph)
    # skl2onnx passes the columns of a table one by one; a missing one is noticed when the model runs
    width = width if len(operator.inputs) == 1 else 1
    examples = [np.zeros((2, width), guess_numpy_type(variable.type)) for variable in operator.inputs]
    columns = [
        ops.cast(OnnxTensor(graph, variable.onnx_name, example), dtype)
        for variable, example in zip(operator.inputs, examples, strict=True)
    ]
    with np.errstate(all="ignore"):  # the values of the example rows do not matter
        results = function(ops, columns[0] if len(columns) == 1 else ops.concatenate(columns, 1))
    for name, value in graph.constants.items():
        _add_constant(container, name, value)
    for node in graph.nodes:
        container.add_node(node.op_type, node.inputs, [node.output], name=node.output, **node.attributes)
    for result, variable in zip(results, operator.outputs, strict=True):
        container.add_node("Identity", [result.name], [variable.onnx_name], name=f"{result.name}_output")


def _add_constant(container: Any, name: str, value: Array) -> None:
    import onnx

    if value.dtype.kind == "U":
        texts = [text.encode() for text in value.ravel().tolist()]
        container.add_initializer(name, onnx.TensorProto.STRING, list(value.shape), texts)
    else:
        container.add_initializer(name, None, None, onnx.numpy_helper.from_array(np.ascontiguousarray(value)))
