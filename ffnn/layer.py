"""The base class of layers, the steps of a hidden block.

A layer is a frozen description. It declares its weights and computes its output in terms of a builder's array
operations; it holds neither weights nor tensors. So it is written once and runs on every builder.
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
        Whether ``weight_decay`` applies to it (to kernels, not to biases).
    scale : float
        A factor for the initializer's values.
    trainable : bool
        Whether it is trained by gradient descent; otherwise the layer returns its new value in each training step.
    by_feature : bool
        Whether row i is multiplied by feature i of the batch only, in a layer that takes sparse rows: a batch without
        feature i then gives row i no gradient.
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
    """The requirements and capabilities of a layer.

    Parameters
    ----------
    scalars : tuple of str
        Numeric fields that are inputs of a traced program, so that one program serves all their values.
    random : bool
        Whether ``forward`` draws random numbers in training, from ``context.seed``.
    sparse : bool
        Whether ``forward`` takes :class:`~ffnn.ops.SparseRows`; otherwise it gets a dense batch.
    bfloat16 : bool
        Whether ``forward`` takes and returns batches in bfloat16, while its weights stay in float32; otherwise it gets
        the batch in the network's dtype.
    weighs_rows : bool
        Whether a row's result in training depends on the other rows. Then ``forward`` weights each row by
        ``context.row_weight``, so that a weight of 2 equals a duplicated row.
    """

    scalars: tuple[str, ...] = ()
    random: bool = False
    sparse: bool = False
    bfloat16: bool = False
    weighs_rows: bool = False


@dataclass(frozen=True)
class Context:
    """The context of a call of a layer's ``forward``; by default, a prediction.

    Parameters
    ----------
    training : bool
        Whether the network is being trained. The other fields are set in training only.
    seed : integer tensor of shape (2,), optional
        The seed of this layer's draws in this step, if the layer is random.
    row_weight : tensor of shape (n_rows,), optional
        The sample weights.
    scalars : mapping of str to scalar tensor
        The values of the fields named in ``traits.scalars``.
    updates : dict of str to tensor
        The layer adds the new values of its weights that are not trainable.
    """

    training: bool = False
    seed: Tensor | None = None
    row_weight: Tensor | None = None
    scalars: Mapping[str, Tensor] = field(default_factory=dict)
    updates: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Layer(ABC):
    """One step of a hidden block.

    Subclasses are frozen dataclasses. A field that is ``None`` takes the estimator's value of that name (``units``,
    ``rate``, ``activation``, ``initializer``) when the network is described; a field that is set on an instance in
    ``block`` overrides the estimator's value.
    """

    @property
    def traits(self) -> Traits:
        """The layer's requirements and capabilities."""
        return Traits()

    def bind(self, values: Mapping[str, Any]) -> Layer | None:
        """Return this layer with its unset fields filled in, a replacement for it, or None to leave it out.

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
        """Return the width of the layer's output for an input of width ``n_inputs``."""
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
            Whether the network is being trained, and what training needs.
        """

    def to_keras(self, keras: Any, x: Any, name: str, dtype: str) -> Any:
        """Return the layer's output for a Keras tensor, computed by native Keras layers.

        The variables of those layers must be in the order of :meth:`weights`. With ``NotImplemented``, the default, the
        Keras builder wraps the layer; a ``.keras`` file with it requires ffnn to load.

        Parameters
        ----------
        keras : module
            The ``keras`` module, passed so that a layer need not import an engine.
        x : keras.KerasTensor
            The symbolic input.
        name : str
            The name for the Keras layer.
        dtype : str
            The dtype, or the name of the dtype policy, for every Keras layer.
        """
        return NotImplemented

    def to_native(self, n_inputs: int) -> tuple[NativeOp, ...] | None:
        """Return the layer as operations of the ``native`` builder; None, the default, if there are no such operations.

        Then that builder refuses the layer. A subclass that overrides :meth:`forward` must override this method, too.

        Parameters
        ----------
        n_inputs : int
            The number of input features.
        """
        return None

    def structure(self) -> tuple[Hashable, ...]:
        """Return a key of the traced program: the class and all fields but its scalar inputs."""
        fields = (f.name for f in dataclasses.fields(self) if f.name not in self.traits.scalars)
        return (type(self), *((name, getattr(self, name)) for name in fields))

    def scalars(self) -> list[float]:
        """Return the values of the fields named in ``traits.scalars``."""
        return [float(np.asarray(getattr(self, name))) for name in self.traits.scalars]


class Stage(Protocol):
    """A layer or an input, as :func:`call` takes it."""

    @property
    def traits(self) -> Traits: ...

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor: ...


def call(stage: Stage, prefix: str, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
    """Return a layer's output, given the weights and context of the network or the outer layer it is part of.

    Parameters
    ----------
    stage : Layer or Input
        The layer to call.
    prefix : str
        The prefix of its weights, scalars and updates in ``weights`` and ``context``.
    ops : Ops
        The builder's array operations.
    x : tensor or SparseRows of shape (n_rows, n_inputs)
        The batch.
    weights : mapping of str to tensor
        All weights.
    context : Context
        The seed of this layer, and all scalars. The layer's updates are added to its updates.
    """
    own = replace(context, scalars=_strip_prefix(prefix, context.scalars), updates={})
    y = stage.forward(ops, x, _strip_prefix(prefix, weights), own)
    context.updates.update({f"{prefix}{name}": value for name, value in own.updates.items()})
    return y


def _strip_prefix(prefix: str, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)}


def numbered_names(layers: Iterable[Layer]) -> list[str]:
    """Return a name for each layer of a block: its class in lower case, numbered from the second of a class on."""
    counts: Counter[str] = Counter()
    names = []
    for layer in layers:
        name = type(layer).__name__.lower()
        counts[name] += 1
        names.append(name if counts[name] == 1 else f"{name}{counts[name]}")
    return names
