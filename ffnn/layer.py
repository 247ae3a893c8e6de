"""What a layer is: one step of a hidden block.

A layer is a frozen description. It declares the weights it needs and says, in terms of a builder's array operations,
what it does to a batch; it holds neither weights nor tensors. So it is written once and runs on every builder.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np

from ffnn.native import NativeOp
from ffnn.ops import Ops, Tensor

__all__ = ["Context", "Layer", "Traits", "Weight", "call", "numbered_names"]


@dataclass(frozen=True)
class Weight:
    """The declaration of one of a layer's weight arrays.

    Parameters
    ----------
    shape : tuple of int
        Its shape; the first axis counts the inputs, the last the outputs.
    initializer : str
        A name in :mod:`ffnn.initializers`.
    decays : bool
        Whether ``weight_decay`` acts on it (kernels do, biases do not).
    scale : float
        What the initializer's values are multiplied by.
    trainable : bool
        Whether the gradient trains it; otherwise the layer itself gives its new value in each step of training.
    by_feature : bool
        Whether row i is multiplied by feature i of the batch and by nothing else, in a layer that takes sparse rows: a
        batch without feature i gives that row no gradient.
    role : {"coef", "intercept"} or None
        Whether the estimator lists it in ``coefs_`` or in ``intercepts_``.
    """

    shape: tuple[int, ...]
    initializer: str = "glorot_uniform"
    decays: bool = False
    scale: float = 1.0
    trainable: bool = True
    by_feature: bool = False
    role: Literal["coef", "intercept"] | None = None


@dataclass(frozen=True)
class Traits:
    """What a layer needs, and what it can take.

    Parameters
    ----------
    scalars : tuple of str
        Numeric fields whose values are inputs of a traced program, so that one program serves all of them.
    random : bool
        Whether ``forward`` draws random numbers in training, from ``context.seed``.
    sparse : bool
        Whether ``forward`` takes :class:`~ffnn.ops.SparseRows`; otherwise it gets the batch dense.
    bfloat16 : bool
        Whether ``forward`` takes a batch in bfloat16 and returns one, while its weights stay in float32; otherwise it
        gets the batch in the network's dtype.
    weighs_rows : bool
        Whether a row's result in training depends on the other rows. Then ``forward`` weighs each by
        ``context.row_weight``, so that a weight of 2 can be the same as a row that is there twice.
    """

    scalars: tuple[str, ...] = ()
    random: bool = False
    sparse: bool = False
    bfloat16: bool = False
    weighs_rows: bool = False


@dataclass(frozen=True)
class Context:
    """The circumstances under which a layer's ``forward`` is called; by default, a prediction.

    Parameters
    ----------
    training : bool
        Whether the network is being trained. Everything below is there in training only.
    seed : integer tensor of shape (2,), optional
        The seed of this layer's draws in this step, where the layer is random.
    row_weight : tensor of shape (n_rows,), optional
        The sample weights.
    scalars : mapping of str to scalar tensor
        The values of the fields named in ``traits.scalars``.
    updates : dict of str to tensor
        Filled by the layer with the new value of each of its weights that is not trainable.
    """

    training: bool = False
    seed: Tensor | None = None
    row_weight: Tensor | None = None
    scalars: Mapping[str, Tensor] = field(default_factory=dict)
    updates: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Layer(ABC):
    """One step of a hidden block.

    A subclass is a frozen dataclass. Each field that is ``None`` is filled in from the estimator's parameter of that
    name (``units``, ``rate``, ``activation``, ``initializer``) when the network is described; an instance in
    ``block`` that sets a field overrides the estimator's.
    """

    @property
    def traits(self) -> Traits:
        """What the layer needs, and what it can take."""
        return Traits()

    def bind(self, values: Mapping[str, Any]) -> Layer | None:
        """Return this layer with its open fields filled in, another that replaces it, or None to leave it out.

        Parameters
        ----------
        values : mapping
            The estimator's values by field name. ``units`` is the width of the block.

        Raises
        ------
        ValueError
            If a value is out of range.
        """
        fields = [f.name for f in dataclasses.fields(self)]
        return dataclasses.replace(
            self, **{name: values[name] for name in fields if name in values and getattr(self, name) is None}
        )

    def n_outputs(self, n_inputs: int) -> int:
        """Return the number of features that leave the layer when ``n_inputs`` enter it."""
        return n_inputs

    def weights(self, n_inputs: int) -> dict[str, Weight]:
        """Return the layer's weights by name, in a fixed order."""
        return {}

    @abstractmethod
    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        """Return the layer's output for a batch.

        Parameters
        ----------
        ops : Ops
            The builder's array operations.
        x : tensor of shape (n_rows, n_inputs)
            The batch; a :class:`~ffnn.ops.SparseRows` where the layer takes sparse rows and the input is sparse.
        weights : mapping of str to tensor
            By the names in :meth:`weights`.
        context : Context
            Whether the network is being trained, and what a layer needs then.
        """

    def to_keras(self, keras: Any, x: Any, name: str, dtype: str) -> Any:
        """Return the Keras tensor that native Keras layers make of ``x``.

        The variables of those layers must come in the order of :meth:`weights`. ``NotImplemented``, the default,
        makes the Keras builder wrap the layer in one of its own, whose ``.keras`` file loads where ffnn is imported.

        Parameters
        ----------
        keras : module
            The ``keras`` module; taking it as an argument keeps engines out of a layer's imports.
        x : keras.KerasTensor
            The symbolic input.
        name : str
            The name for the Keras layer.
        dtype : str
            The dtype, or the name of the dtype policy, that every Keras layer must be given.
        """
        return NotImplemented

    def to_native(self, n_inputs: int) -> tuple[NativeOp, ...] | None:
        """Return the operations of the ``native`` builder that the layer is made of; None, the default, if it is none.

        Then that builder refuses the layer by name. A subclass whose :meth:`forward` is another one says so anew.

        Parameters
        ----------
        n_inputs : int
            The number of features that enter the layer.
        """
        return None

    def structure(self) -> tuple[Hashable, ...]:
        """Return a key of the traced program: the class and every field that is no scalar input of it."""
        fields = (f.name for f in dataclasses.fields(self) if f.name not in self.traits.scalars)
        return (type(self), *((name, getattr(self, name)) for name in fields))

    def scalars(self) -> list[float]:
        """Return the values of the fields named in ``traits.scalars``."""
        return [float(np.asarray(getattr(self, name))) for name in self.traits.scalars]


class Stage(Protocol):
    """What :func:`call` calls: a layer, or an input."""

    @property
    def traits(self) -> Traits: ...

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor: ...


def call(stage: Stage, prefix: str, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
    """Return a layer's output, given what surrounds it: a network's weights and context, or those of an outer layer.

    Parameters
    ----------
    stage : Layer or Input
        What is called.
    prefix : str
        What the names of its weights, scalars and updates begin with in ``weights`` and ``context``.
    ops : Ops
        The builder's array operations.
    x : tensor or SparseRows of shape (n_rows, n_inputs)
        The batch.
    weights : mapping of str to tensor
        All weights.
    context : Context
        With the seed of this layer, and all scalars; its updates are added to.
    """
    own = replace(context, scalars=_beneath(prefix, context.scalars), updates={})
    y = stage.forward(ops, x, _beneath(prefix, weights), own)
    context.updates.update({f"{prefix}{name}": value for name, value in own.updates.items()})
    return y


def _beneath(prefix: str, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)}


def numbered_names(layers: Iterable[Layer]) -> list[str]:
    """Return a name for each layer of a block: its class's in lower case, from the second one on with its number."""
    counts: Counter[str] = Counter()
    names = []
    for layer in layers:
        name = type(layer).__name__.lower()
        counts[name] += 1
        names.append(name if counts[name] == 1 else f"{name}{counts[name]}")
    return names
