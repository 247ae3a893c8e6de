"""A network as Keras's file, or a user's own Keras model as a SavedModel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from ffnn.builder import Builder
from ffnn.builders._keras._private import all_layers
from ffnn.builders._keras.layer import NetworkLayer
from ffnn.builders._keras.source import NetworkSource
from ffnn.builders.keras import KerasBuilder
from ffnn.exceptions import ExportError
from ffnn.model import Arrays
from ffnn.network import Network

__all__ = ["own_model_scores", "save_keras"]


def save_keras(builder: Builder, network: Network, weights: Arrays, path: Path) -> None:
    """Write the Keras model of a network in a file that plain Keras reads.

    Parameters
    ----------
    builder : Builder
        The estimator's builder; a ``KerasBuilder`` may have a model of the user's.
    network : Network
        The description.
    weights : dict of str to ndarray
        The learned weights.
    path : Path
        The file, ending in .keras.

    Raises
    ------
    ExportError
        If a layer is not Keras's own, or cannot be written to a file.
    """
    source = builder.source(network) if isinstance(builder, KerasBuilder) else NetworkSource(network)
    model = source.public(weights)
    ours = [layer.wrapped for layer in all_layers(model) if isinstance(layer, NetworkLayer)]
    if ours:
        hint = " (in float64; it has them with dtype='float32')" if network.dtype == "float64" else ""
        raise ExportError(
            f"format='keras': Keras has no layer for {', '.join(map(repr, ours))}, so the file could not be read "
            f"without ffnn{hint}. Use format='savedmodel' or 'onnx'; write the layer's to_keras; or save model_ of an "
            "estimator with builder='keras', model_.save(path), and import ffnn.builders.keras.NetworkLayer before "
            "keras.models.load_model(path)."
        )
    try:
        model.save(path)
        keras.models.load_model(path)
    except OSError:
        raise
    except Exception as error:  # Keras raises various errors for functions and layers that it cannot save
        raise ExportError(
            f"format='keras': Keras cannot read back what it writes of the model: {type(error).__name__}: {error} "
            "Register the user's functions and layers with keras.saving.register_keras_serializable, or use "
            "format='savedmodel'."
        ) from error


def own_model_scores(builder: Builder, network: Network) -> Any:
    """Return the scores of a user's own Keras model as a function of its weights by name and of rows.

    Raises
    ------
    ExportError
        If there is no such model, or if Keras does not run on TensorFlow.
    """
    if not isinstance(builder, KerasBuilder):
        raise ExportError(
            f"The weights are not those of the network: another builder than builder={builder!r} made them. Set the "
            "one that trained the estimator, or fit it again."
        )
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"format='savedmodel': a Keras model of your own runs on {keras.backend.backend()!r} here. Set the "
            "environment variable KERAS_BACKEND=tensorflow, or use format='keras'."
        )
    _, template = builder.source(network).parts(on_host=False)
    names = list(template.specs)
    n = len(template.trainable)

    def scores(weights: Mapping[str, Any], x: Any) -> Any:
        values = [weights[name] for name in names]
        return template(values[:n], values[n:], x).scores

    return scores
