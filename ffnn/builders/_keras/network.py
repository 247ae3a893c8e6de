"""A network as Keras layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from ffnn.builders._keras.layer import NetworkLayer
from ffnn.builders._keras.seed import python_random
from ffnn.builders._keras.template import Template
from ffnn.network import Network, Stage

__all__ = ["network_template", "public_model", "split"]


def split(network: Network, *, on_host: bool) -> tuple[Network, tuple[Stage, ...]]:
    """Split a network into the stages that act on sparse rows, as a network, and the stages after them, for Keras.

    Keras has no fast layers for sparse rows. The first part is empty if the input is dense.

    Parameters
    ----------
    network : Network
        The description.
    on_host : bool
        Whether the first part runs in NumPy, which has no gradients, so that it must have no weights.
    """
    n = 0
    for stage in (
        network.stages[:-1] if network.input.sparse else ()
    ):  # one stage is left, since a Keras model needs a layer
        takes = stage.layer.traits.sparse
        state = any(not weight.trainable for weight in stage.weights.values())
        if not takes or state or (on_host and stage.weights):
            break
        n += 1
    return dataclasses.replace(network, stages=network.stages[:n], compute_dtype=None), network.stages[n:]


def network_template(network: Network, prefix: Network, stages: Sequence[Stage], *, traced: bool) -> Template:
    """Return the template of a network's last stages.

    Parameters
    ----------
    network : Network
        The description.
    prefix, stages
        The result of :func:`split`.
    traced : bool
        Whether the network's scalars, such as dropout rates, are arguments of the template rather than constants of its
        layers.

    Raises
    ------
    TypeError
        If the Keras layers of a stage have other variables than its ``weights()``.
    """
    with python_random(0):
        model, values = _keras_model(network, stages, stages[0].n_inputs, name="template", traced=traced)
    model.autocast = False  # else the model would cast the batch to Keras's default dtype; its layers have theirs
    all_weights = {name: weight for stage in stages for name, weight in stage.weights.items()}
    weights = {name: weight for name, weight in all_weights.items() if weight.trainable}
    extras = {name: weight for name, weight in all_weights.items() if not weight.trainable}
    scalars = [v for layer in model.layers if isinstance(layer, NetworkLayer) for v in layer.scalars.values()]
    state = [v for v in model.non_trainable_weights if all(v is not s for s in scalars)]
    _check_variables(stages, [w.shape for w in weights.values()], model.trainable_variables, "trainable")
    _check_variables(stages, [w.shape for w in extras.values()], state, "non-trainable")
    return Template(
        model,
        [*weights, *extras],
        [weight.decays for weight in weights.values()],
        network.dtype,
        first_random=sum(stage.layer.traits.random for stage in prefix.stages),
        scalars=scalars,
        values=values,
    )


def public_model(network: Network) -> Any:
    """Return the whole network as a new Keras model, ending in the output's activation where it has one."""
    with python_random(0):
        scores, _ = _keras_model(network, network.stages, network.n_features, name="scores", traced=False)
        outputs = network.output.to_keras(keras, scores.outputs[0], network.dtype)
        return keras.Model(scores.inputs[0], outputs, name="network")


def _keras_model(
    network: Network, stages: Sequence[Stage], n_inputs: int, *, name: str, traced: bool
) -> tuple[Any, list[Any]]:
    """Return the model of the scores, and the values after each stage."""
    x = inputs = keras.Input((n_inputs,), dtype=network.dtype, name="x")
    values = []
    for stage in stages:
        stage_name = stage.name.replace(".", "_")
        dtype = network.dtype_of(stage)
        if dtype != network.dtype:
            dtype = f"mixed_{dtype}"  # Keras's name for layers with float32 variables
        # Keras's own layers would make scalars constant and ignore the weights of rows
        traits = stage.layer.traits
        wrap = (traced and traits.scalars) or (name == "template" and traits.weighs_rows)
        y = NotImplemented if wrap else stage.layer.to_keras(keras, x, stage_name, dtype)
        if y is NotImplemented:
            y = NetworkLayer(stage.layer, stage.n_inputs, traced=traced, name=stage_name, dtype=dtype)(x)
        x = y
        values.append(x)
    return keras.Model(inputs, x, name=name), values


def _check_variables(stages: Sequence[Stage], expected: list[Any], variables: Sequence[Any], kind: str) -> None:
    arrived = [tuple(v.shape) for v in variables]
    if arrived != [tuple(shape) for shape in expected]:
        layers = ", ".join(f"{type(stage.layer).__name__} ({stage.name})" for stage in stages)
        raise TypeError(
            f"The Keras layers of {layers} have {kind} variables of shapes {arrived}; expected {expected}, in "
            "the order of their weights(). Let to_keras return NotImplemented where Keras has no such layer."
        )
