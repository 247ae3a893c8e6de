"""What an input is: the plugin that takes X as the user gave it to the engine, in the cheapest form.

An input prepares X once, on the host, as a few plain arrays; the builder moves them to its device and lets the input
gather each batch from them there, in the engine's own operations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar, Self

from sklearn.base import BaseEstimator
from sklearn.utils import Tags

from ffnn._utils.documentation import DocumentedMixin
from ffnn._utils.keys import parameters_key
from ffnn.layer import Context, Traits, Weight
from ffnn.model import Array, Rows
from ffnn.native import NativeOp
from ffnn.ops import Ops, SparseRows, Tensor

__all__ = ["Input"]


class Input(DocumentedMixin, BaseEstimator, ABC):
    """Takes X to the engine.

    An input may also transform what enters the network (an embedding, say): then it overrides :meth:`forward` and,
    where it needs them, :meth:`n_outputs` and :meth:`weights`, with a layer's meaning.
    """

    #: Whether batches are :class:`SparseRows`.
    sparse: ClassVar[bool] = False
    #: How a batch may meet the first weights, the best way first; an engine takes the first that it can. ``"dense"``,
    #: which all can, makes sparse rows dense; ``"stored"`` goes entry by entry; ``"fused"`` steps on the way.
    paths_: tuple[str, ...] = None  # type: ignore[assignment]  # nothing has been learned yet; "dense" alone

    @property
    def traits(self) -> Traits:
        """As a layer's: what :meth:`forward` needs, and what it can take."""
        return Traits(sparse=True)

    @classmethod
    @abstractmethod
    def accepts(cls, X: Any) -> bool:
        """Return whether ``input_layer="auto"`` may choose this input for ``X``, an array or a CSR matrix."""

    def fit(self, X: Any, batch_size: int) -> Self:
        """Settle for a data set, ``X`` as :meth:`accepts` knows it, what every later one is taken by; return self."""
        return self

    @abstractmethod
    def prepare(self, X: Any, dtype: str) -> Rows:
        """Return ``X``, already validated, as the arrays that :meth:`gather` reads; no copy where none is needed."""

    @abstractmethod
    def gather(self, ops: Ops, arrays: Sequence[Tensor], rows: Tensor, n_features: int) -> Tensor | SparseRows:
        """Return the batch of the given rows, of shape (len(rows), n_features), from the prepared arrays."""

    def whole(self, ops: Ops, arrays: Sequence[Tensor], n_rows: Tensor, n_features: int) -> Tensor | SparseRows:
        """Return all rows of the prepared arrays as a batch; without a copy where that can be."""
        return self.gather(ops, arrays, ops.arange(n_rows, dtype="int32"), n_features)

    def take(self, arrays: Sequence[Array], rows: slice | Array) -> tuple[Array, ...]:
        """Return the prepared arrays of some rows, on the host; of a slice, without a copy where that can be.

        By default every array has a row a row.
        """
        return tuple(array[rows] for array in arrays)

    def n_outputs(self, n_features: int) -> int:
        """Return the width of what the input passes on."""
        return n_features

    def weights(self, n_features: int) -> dict[str, Weight]:
        """Return the input's weights by name, in a fixed order."""
        return {}

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        """Return what the input passes on for a batch; by default the batch itself."""
        return x

    def to_keras(self, keras: Any, x: Any, name: str, dtype: str) -> Any:
        """Return the Keras tensor that native Keras layers make of ``x``; see :meth:`ffnn.layer.Layer.to_keras`."""
        return x if type(self).forward is Input.forward else NotImplemented

    def to_native(self, n_inputs: int) -> tuple[NativeOp, ...] | None:
        """Return what :meth:`forward` does in the ``native`` builder; see :meth:`ffnn.layer.Layer.to_native`."""
        return () if type(self).forward is Input.forward else None

    def adjust_tags(self, tags: Tags) -> None:
        """Say in scikit-learn's tags what an estimator with this ``input_layer`` does not take; nothing by default."""

    def structure(self) -> Hashable:
        """Return what a traced program depends on."""
        return parameters_key(self)

    def scalars(self) -> list[float]:
        """Return the values of the fields named in ``traits.scalars``."""
        return [float(getattr(self, name)) for name in self.traits.scalars]
