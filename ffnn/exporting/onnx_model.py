"""A network as part of the ONNX model that skl2onnx makes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ffnn.builder import Arrays
from ffnn.exceptions import ExportError
from ffnn.exporting.onnx_ops import OnnxOps
from ffnn.exporting.onnx_tensor import Array, Graph, OnnxTensor
from ffnn.input import SparseRows
from ffnn.network import Network
from ffnn.ops import NumpyOps

__all__ = ["allow_options", "convert", "output_types"]


def allow_options(kind: type) -> None:
    """Let skl2onnx take the options for a class of estimators that it gives to every classifier in a pipeline.

    What they say of probabilities, in which form they come, is ignored: they come as a matrix.
    """
    from skl2onnx import update_registered_converter
    from skl2onnx._parse import _parse_sklearn_simple_model

    def calculate(operator: Any) -> None:
        operator.raw_operator.onnx_shape_calculator()(operator)

    def add(scope: Any, operator: Any, container: Any) -> None:
        operator.raw_operator.onnx_converter()(scope, operator, container)

    def parse(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
        return _parse_sklearn_simple_model(scope, model, inputs, custom_parsers)

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
    graph = Graph(scope.get_unique_operator_name("ffnn"))
    inputs = [(variable.onnx_name, variable.type) for variable in operator.inputs]
    results = _write(graph, inputs, network, weights)
    for name, value in graph.constants.items():
        _add_constant(container, name, value)
    for node in graph.nodes:
        container.add_node(node.op_type, node.inputs, [node.output], name=node.output, **node.attributes)
    for result, variable in zip(results, operator.outputs, strict=True):
        container.add_node("Identity", [result.name], [variable.onnx_name], name=f"{result.name}_output")


def _write(graph: Graph, inputs: list[tuple[str, Any]], network: Network, weights: Arrays) -> list[OnnxTensor]:
    """Write a network down in the graph and return its outputs."""
    from skl2onnx.common.data_types import guess_numpy_type

    network = dataclasses.replace(network, compute_dtype=None)  # what onnxruntime does not have on CPUs
    ops = OnnxOps(graph)
    missing = network.weights.keys() - weights.keys()
    if missing:
        raise ExportError(
            "The network was made by the builder, such as KerasBuilder(build=...), and ffnn does not know what it "
            "does. Use format='savedmodel' or 'keras', or what its engine has: estimator.model_.export(path)."
        )
    # skl2onnx gives the columns of a table one by one; one that the network was not fitted with shows when it runs
    width = network.n_features if len(inputs) == 1 else 1
    columns = [
        graph.cast(OnnxTensor(graph, name, np.zeros((2, width), guess_numpy_type(kind))), network.dtype)
        for name, kind in inputs
    ]
    tensors = {name: graph.constant(np.asarray(weights[name])) for name in network.weights}
    try:
        with np.errstate(all="ignore"):  # of the examples, which mean nothing
            x = columns[0] if len(columns) == 1 else ops.concatenate(columns, 1)
            scores = network.apply(ops, network.entering(ops, x), tensors)
            scores = scores.dense(ops) if isinstance(scores, SparseRows) else scores
            return [ops.tensor(value) for value in network.output.export(ops, scores).values()]
    except ExportError:
        raise
    except Exception as error:  # whatever a layer of somebody's makes of tensors that are none of its engine's
        raise ExportError(
            f"The network cannot be written in ONNX's operations: {type(error).__name__}: {error} What calls an "
            "engine's own functions can be exported by format='savedmodel'."
        ) from error


def _add_constant(container: Any, name: str, value: Array) -> None:
    import onnx

    if value.dtype.kind == "U":
        texts = [text.encode() for text in value.ravel().tolist()]
        container.add_initializer(name, onnx.TensorProto.STRING, list(value.shape), texts)
    else:
        container.add_initializer(name, None, None, onnx.numpy_helper.from_array(np.ascontiguousarray(value)))
