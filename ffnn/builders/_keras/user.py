"""A user's own Keras model: made, checked, named and initialized."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from ffnn._utils.keys import Identity
from ffnn.builders._keras.names import canonical_names, variable_names
from ffnn.builders._keras.seed import python_random, redraw
from ffnn.builders._keras.source import assign
from ffnn.builders._keras.template import Link, Template
from ffnn.model import Array, Arrays
from ffnn.network import Network

__all__ = ["UserSource"]

_ACTIVATIONS = {keras.activations.sigmoid: "sigmoid", keras.activations.softmax: "softmax"}


class UserSource:
    """Makes the Keras models of a user's function.

    Parameters
    ----------
    network : Network
        The argument of the function.
    build : callable
        The function.
    returns : {"auto", "scores", "probabilities"}
        The meaning of the models' outputs.
    """

    may_pad = False  # Keras's batch normalization counts rows of weight 0

    def __init__(self, network: Network, build: Callable[[Network], Any], returns: str) -> None:
        self._network = network
        self._build = build
        self._returns = returns
        # used for the template, if there is none of this architecture yet
        self._model: Any = self._make(0)
        if getattr(self._model, "compiled", False):
            warnings.warn(
                "builder=KerasBuilder(build=...): the model is compiled, but its optimizer and loss are not used: the "
                "estimator's solver and the loss of its targets train it. Leave compile() out, and set solver=.",
                UserWarning,
                stacklevel=2,
            )
        self._names = variable_names(self._model)
        self._probabilities = self._check_returns(self._model)
        self.key: Any = (
            network.structure(),
            returns,
            type(self._model),
            self._config(),
            tuple(self._names),
            *((tuple(v.shape), v.dtype, v.trainable) for v in self._model.variables),
        )
        self.traced_key: Any = self.key

    def parts(self, *, on_host: bool) -> tuple[Network, Template]:
        network, model = self._network, self._model
        link: Link | None = None
        if self._probabilities and not _strip(model, network.output.activation):
            link = _logit if network.output.activation == "sigmoid" else _log
        decays = [v.name.endswith(("kernel", "embeddings")) and v.ndim >= 2 for v in model.trainable_variables]
        template = Template(model, self._names, decays, network.dtype, to_scores=link)
        return dataclasses.replace(network, stages=()), template

    def initial_weights(self, rng: np.random.Generator) -> Arrays:
        model = self._make(int(rng.integers(2**31 - 1)))
        return dict(zip(self._names, redraw(model, rng), strict=True))

    def public(self, weights: Mapping[str, Array]) -> Any:
        model = self._make(0)
        assign([*model.trainable_variables, *model.non_trainable_weights], weights)
        return model

    def forget(self) -> None:
        self._model = None

    # -- the function's model -----------------------------------------------------------------------------------

    @property
    def _where(self) -> str:
        name = getattr(self._build, "__name__", None) or repr(self._build)
        return f"builder=KerasBuilder(build={name})"

    def _make(self, seed: int) -> Any:
        """Return a new model from the function, built and checked."""
        network = self._network
        with python_random(seed):
            try:
                model = self._build(network)
            except Exception as error:
                raise ValueError(f"{self._where}: the function raised {type(error).__name__}: {error}") from error
            if not isinstance(model, keras.Model):
                raise TypeError(
                    f"{self._where}: expected the function to return a keras.Model; got {type(model).__name__}. "
                    "End it with `return model`."
                )
            self._check_widths(model)
        return model

    def _check_widths(self, model: Any) -> None:
        n, k = self._network.n_features, self._network.n_outputs
        if model.built and hasattr(model, "inputs") and model.inputs:
            shapes = [tuple(t.shape) for t in model.inputs]
            if len(shapes) != 1 or len(shapes[0]) != 2 or shapes[0][1] not in (n, None):
                raise ValueError(
                    f"{self._where}: the model takes inputs of shape {shapes}; expected one of shape (None, {n}), the "
                    "features of X. Start it with keras.Input((network.n_features,)), and keras.layers.Reshape where "
                    "it needs more axes."
                )
        try:
            outputs = model(np.zeros((1, n), self._network.dtype), training=False)
        except Exception as error:
            raise ValueError(
                f"{self._where}: the model cannot take a row of {n} features: {type(error).__name__}: {error}"
            ) from error
        shape = getattr(outputs, "shape", None)
        if shape is None or tuple(shape) != (1, k):
            got = f"outputs of shape {(None, *shape[1:])}" if shape is not None else f"a {type(outputs).__name__}"
            raise ValueError(
                f"{self._where}: the model returns {got}; expected (None, {k}), {_meaning(self._network)}. End it with "
                "keras.layers.Dense(network.n_outputs, activation=network.output.activation)."
            )

    def _check_returns(self, model: Any) -> bool:
        """Return whether the model returns probabilities."""
        wanted = self._network.output.activation
        if wanted not in _ACTIVATIONS.values() or self._returns == "scores":
            return False
        last = _last(model)
        if last is None and self._returns == "auto":
            raise ValueError(
                f"{self._where}: the last layer of a {type(model).__name__} cannot be seen. "
                "Set KerasBuilder(..., returns='scores') or returns='probabilities'."
            )
        found = None if last is None else _activation(last)
        if found not in (None, wanted):
            raise ValueError(
                f"{self._where}: the model ends in {found}; these targets need {wanted}. "
                "End it with keras.layers.Dense(network.n_outputs, activation=network.output.activation)."
            )
        return found is not None or self._returns == "probabilities"

    def _config(self) -> Hashable:
        """Return a key of the model's configuration; the function itself if Keras cannot serialize the model."""
        try:
            text = json.dumps(keras.saving.serialize_keras_object(self._model), sort_keys=True, default=str)
        except Exception:  # a layer of the user's may raise anything here
            return Identity(self._build)
        for name, canonical in canonical_names(self._model).items():
            text = text.replace(json.dumps(name), json.dumps("=" + canonical))
        return text


def _meaning(network: Network) -> str:
    if network.output.activation == "sigmoid" and network.n_outputs == 1:
        return "one value per row: two classes need one score, through a sigmoid"
    return "one value per row and " + ("class" if network.output.activation else "target")


def _last(model: Any) -> Any:
    """Return the layer that returns a model's outputs, or None if it is unknown."""
    while isinstance(model, keras.Model):
        if not (isinstance(model, keras.Sequential) or getattr(model, "outputs", None)) or not model.layers:
            return None
        model = model.layers[-1]
    return model


def _activation(layer: Any) -> str | None:
    """Return "sigmoid" or "softmax" if a layer ends in one of them, else None."""
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    try:
        return _ACTIVATIONS.get(getattr(layer, "activation", None))
    except TypeError:  # an activation that cannot be hashed is the user's own
        return None


def _strip(model: Any, activation: str | None) -> bool:
    """Remove the activation of the last layer, which then returns scores; return whether that was possible."""
    last = _last(model)
    found = getattr(last, "activation", None)
    if last is None or found not in (keras.activations.sigmoid, keras.activations.softmax):
        return False
    if _ACTIVATIONS[found] != activation:
        return False
    last.activation = keras.activations.linear
    return True


def _clipped(p: Any) -> Any:
    tiny = 1e-7 if keras.backend.standardize_dtype(p.dtype) != "float64" else 1e-15
    return ops.clip(p, tiny, 1 - tiny)


def _log(p: Any) -> Any:
    return ops.log(_clipped(p))


def _logit(p: Any) -> Any:
    p = _clipped(p)
    return ops.log(p) - ops.log1p(-p)
