"""What a layer is: one step of a hidden block.

A layer is a frozen description. It declares the weights it needs and says, in terms of a builder's array operations,
what it does to a batch; it holds neither weights nor tensors. So it is written once and runs on every builder.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from types import SimpleNamespace

    from ffnn.ops import Ops, Tensor

__all__ = ["Layer", "Weight"]


@dataclass(frozen=True)
class Weight:
    """What a layer says of one of its weight arrays.

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
        Whether the gradient trains it; otherwise the layer itself says its new value in each step of training.
    """

    shape: tuple[int, ...]
    initializer: str = "glorot_uniform"
    decays: bool = False
    scale: float = 1.0
    trainable: bool = True


@dataclass(frozen=True)
class Layer(ABC):
    """One step of a hidden block.

    A subclass is a frozen dataclass. Each field that is ``None`` is filled in from the estimator's parameter of that
    name (``units``, ``rate``, ``activation``, ``initializer``) when the network is described; an instance in
    ``block`` that sets a field overrides the estimator's.
    """

    #: Numeric fields that a program takes as inputs, so that one traced program serves all their values.
    tensors: ClassVar[tuple[str, ...]] = ()
    #: Whether :meth:`forward` draws random numbers in training; then it finds a seed in ``p.seed``.
    random: ClassVar[bool] = False
    #: Whether :meth:`forward` takes sparse rows as they are; otherwise it is given them dense.
    takes_sparse: ClassVar[bool] = False
    #: Whether :meth:`forward` takes a batch in bfloat16 and returns one, while ``p`` stays in float32; otherwise it is
    #: given the batch in the network's dtype.
    takes_bfloat16: ClassVar[bool] = False
    #: The weights whose i-th row is multiplied by feature i and by nothing else, where sparse rows are taken: a batch
    #: without feature i gives that row no gradient.
    by_feature: ClassVar[tuple[str, ...]] = ()
    #: Whether a row's result in training depends on the other rows; then :meth:`forward` finds in ``p.row_weight`` what
    #: each one counts, so that a weight of 2 can be the same as a row that is there twice.
    weighs_rows: ClassVar[bool] = False

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
    def forward(self, ops: Ops, x: Tensor, p: SimpleNamespace, *, training: bool) -> Tensor:
        """Return the layer's output for a batch.

        Parameters
        ----------
        ops : Ops
            The builder's array operations.
        x : tensor of shape (n_rows, n_inputs)
            The batch; a :class:`~ffnn.input.SparseRows` where the layer takes sparse rows and the input is sparse.
        p : namespace
            The weights by name. In training also the fields named in ``tensors`` as scalar tensors; ``seed``, an
            integer tensor of shape (2,), where the layer is random; ``row_weight``, a tensor of shape (n_rows,), where
            it weighs rows; and ``updates``, a dict in which it puts the new value of each weight that is not trainable.
        training : bool
            Whether the network is being trained.
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

    def structure(self) -> tuple[Hashable, ...]:
        """Return what a traced program depends on: the class and every field that is no tensor."""
        fields = (f.name for f in dataclasses.fields(self) if f.name not in self.tensors)
        return (type(self), *((name, getattr(self, name)) for name in fields))

    def scalars(self) -> list[float]:
        """Return the values of the fields named in ``tensors``."""
        return [float(np.asarray(getattr(self, name))) for name in self.tensors]
