"""The source of Keras models: a network's description, or the user's function."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ffnn.builders._keras.network import network_template, public_model, split
from ffnn.builders._keras.template import Template
from ffnn.model import Array, Arrays
from ffnn.network import Network

__all__ = ["NetworkSource", "Source", "assign"]


class Source(Protocol):
    """Makes Keras models."""

    key: Hashable
    """Sources of equal keys share a template that is made for the host."""

    traced_key: Hashable
    """Sources of equal keys share a template that is traced, with the network's scalars as arguments."""

    may_pad: bool
    """Whether a row of weight 0 leaves the results of the other rows of its batch unchanged."""

    def parts(self, *, on_host: bool) -> tuple[Network, Template]:
        """Return the stages that act on sparse rows, as a network, and the template of all stages after them."""
        ...

    def initial_weights(self, rng: np.random.Generator) -> Arrays:
        """Return freshly drawn weights."""
        ...

    def public(self, weights: Mapping[str, Array]) -> Any:
        """Return a new ``keras.Model`` with the given weights."""
        ...

    def forget(self) -> None:
        """Free what only :meth:`parts` needs."""
        ...


class NetworkSource:
    """Makes the Keras models of a network's description."""

    may_pad = True

    def __init__(self, network: Network) -> None:
        self._network = network
        self.traced_key: Hashable = network.structure()
        # on the host, dropout rates are constants of Keras's layers
        self.key: Hashable = (self.traced_key, tuple(network.scalars()))

    def parts(self, *, on_host: bool) -> tuple[Network, Template]:
        prefix, stages = split(self._network, on_host=on_host)
        return prefix, network_template(self._network, prefix, stages, traced=not on_host)

    def initial_weights(self, rng: np.random.Generator) -> Arrays:
        return self._network.initial_weights(rng)

    def public(self, weights: Mapping[str, Array]) -> Any:
        model = public_model(self._network)
        assign([*model.trainable_variables, *model.non_trainable_weights], weights)
        return model

    def forget(self) -> None:
        pass


def assign(variables: Sequence[Any], weights: Mapping[str, Array]) -> None:
    """Assign values to variables, in order."""
    for variable, value in zip(variables, weights.values(), strict=True):
        variable.assign(value)
