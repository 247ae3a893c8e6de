"""A network as part of the ONNX model that skl2onnx makes."""

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
    """Let skl2onnx take the options for a class of estimators that it gives to every classifier in a pipeline.

    What they say of probabilities, in which form they come, is ignored: they come as a matrix.
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
    """Return the type of each output by its name."""
    from skl2onnx.common import data_types

    kinds = {
        "b": data_types.BooleanTensorType, "f": data_types.DoubleTensorType, "i": data_types.Int64TensorType,
        "U": data_types.StringTensorType,
    }  # fmt: skip
    outputs = network.output.export(NumpyOps(), np.zeros((1, network.n_outputs), network.dtype))
    return {name: kinds[value.dtype.kind]([None, *value.shape[1:]]) for name, value in outputs.items()}


def convert(network: Network, weights: Arrays, scope: Any, operator: Any, container: Any) -> None:
    """Add the operations of a network to the model, as a converter of skl2onnx does.

    Parameters
    ----------
    network : Network
        The description.
    weights : dict of str to ndarray
        What was learned.
    scope, operator, container
        skl2onnx's: what names there are, what comes and goes, and where nodes are added.

    Raises
    ------
    ExportError
        If what the network does is none of ONNX's operations.
    """
    for other in scope.operators.values():
        if other.raw_operator is not None and any(result in other.inputs for result in operator.outputs):
            raise ExportError(
                f"{type(operator.raw_operator).__name__} is in the middle of a pipeline, where it transforms; "
                "in ONNX it predicts. Let it be the last step."
            )
    network = dataclasses.replace(network, compute_dtype=None)  # what onnxruntime does not have on CPUs
    if network.weights.keys() - weights.keys():
        raise ExportError(
            "The network was made by the builder, such as KerasBuilder(build=...), and ffnn does not know what it "
            "does. Use format='savedmodel' or 'keras', or what its engine has: estimator.model_.export(path)."
        )

    def outputs(ops: OnnxOps, x: OnnxTensor) -> list[Any]:
        tensors = {name: ops.tensor(weights[name]) for name in network.weights}
        scores = network.apply(ops, network.entering(ops, x), tensors)
        scores = scores.dense(ops) if isinstance(scores, SparseRows) else scores
        # ONNX has no errors; NaN and infinity become NaN, which an activation could turn into a number
        scores = scores + ops.sum(x * 0, axis=1, keepdims=True)
        return list(network.output.export(ops, scores).values())

    try:
        add_operations(outputs, network.n_features, network.dtype, scope, operator, container)
    except ExportError:
        raise
    except Exception as error:  # whatever a layer of somebody's makes of tensors that are none of its engine's
        raise ExportError(
            f"The network cannot be written in ONNX's operations: {type(error).__name__}: {error} What calls an "
            "engine's own functions can be exported by format='savedmodel'."
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
        ``function(ops, x)`` returns what ``operator`` gives.
    width : int
        The number of features.
    dtype : str
        Of the ``x`` that the function takes.
    scope, operator, container
        skl2onnx's.
    """
    from skl2onnx.common.data_types import guess_numpy_type

    graph = Graph(scope.get_unique_operator_name("ffnn"))
    ops = OnnxOps(graph)
    # skl2onnx gives the columns of a table one by one; one that is missing shows when the model runs
    width = width if len(operator.inputs) == 1 else 1
    examples = [np.zeros((2, width), guess_numpy_type(variable.type)) for variable in operator.inputs]
    columns = [
        ops.cast(OnnxTensor(graph, variable.onnx_name, example), dtype)
        for variable, example in zip(operator.inputs, examples, strict=True)
    ]
    with np.errstate(all="ignore"):  # of the examples, which mean nothing
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
