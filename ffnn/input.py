"""The base class of inputs, which convert the user's X for the engine.

An input prepares X once, on the host, as a few plain arrays. The builder moves them to its device, where the input
gathers each batch from them in the engine's own operations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from sklearn.base import BaseEstimator
from sklearn.utils import Tags

from ffnn._utils.documentation import DocumentedMixin
from ffnn._utils.keys import parameters_key
from ffnn.layer import Context, Traits, Weight
from ffnn.model import Array, Rows
from ffnn.native import NativeOp
from ffnn.ops import Ops, SparseRows, Tensor

__all__ = ["Input", "SparseStatistics"]


@dataclass(frozen=True)
class SparseStatistics:
    """Statistics of a sparse X, by which a builder chooses how to compute.

    Parameters
    ----------
    batch_size : int
        The rows of a batch.
    stored_per_row : float
        The mean number of stored entries per row.
    features_met : float
        The expected number of features with a stored entry in a batch of random rows.
    """

    batch_size: int
    stored_per_row: float
    features_met: float


class Input(DocumentedMixin, BaseEstimator, ABC):
    """Converts X for the engine.

    An input may also transform the batches, as an embedding does. It then overrides :meth:`forward` and, if needed,
    :meth:`n_outputs` and :meth:`weights`, which are those of a layer.
    """

    #: Whether batches are :class:`SparseRows`.
    sparse: ClassVar[bool] = False
    #: How a batch of :class:`SparseRows` is multiplied with the first weights: ``"dense"`` makes its rows dense,
    #: ``"stored"`` uses the stored entries if the builder can, ``"auto"`` lets it choose by :attr:`statistics_`.
    batches: str = "dense"
    #: The statistics of the data that :meth:`fit` was given, if the input reports any.
    statistics_: SparseStatistics | None = None

    @property
    def traits(self) -> Traits:
        """The requirements and capabilities of :meth:`forward`, as a layer's."""
        return Traits(sparse=True)

    @classmethod
    @abstractmethod
    def accepts(cls, X: Any) -> bool:
        """Return whether ``input_layer="auto"`` may choose this input for ``X``, an array or a CSR matrix."""

    def fit(self, X: Any, batch_size: int) -> Self:
        """Choose the settings that apply to this and all later data sets, given ``X`` as in :meth:`accepts`."""
        return self

    @abstractmethod
    def prepare(self, X: Any, dtype: str) -> Rows:
        """Return the validated ``X`` as the arrays that :meth:`gather` reads, without a copy if possible."""

    @abstractmethod
    def gather(self, ops: Ops, arrays: Sequence[Tensor], rows: Tensor, n_features: int) -> Tensor | SparseRows:
        """Return the batch of the given rows, of shape (len(rows), n_features), from the prepared arrays."""

    def whole(self, ops: Ops, arrays: Sequence[Tensor], n_rows: Tensor, n_features: int) -> Tensor | SparseRows:
        """Return all rows of the prepared arrays as a batch, without a copy if possible."""
        return self.gather(ops, arrays, ops.arange(n_rows, dtype="int32"), n_features)

    def take(self, arrays: Sequence[Array], rows: slice | Array) -> tuple[Array, ...]:
        """Return the prepared arrays of some rows, on the host; for a slice, without a copy if possible.

        The default indexes the first axis of every array.
        """
        return tuple(array[rows] for array in arrays)

    def n_outputs(self, n_features: int) -> int:
        """Return the width of the output of :meth:`forward`."""
        return n_features

    def weights(self, n_features: int) -> dict[str, Weight]:
        """Return the input's weights by name, in a fixed order."""
        return {}

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        """Return the transformed batch; by default the batch itself."""
        return x

    def to_keras(self, keras: Any, x: Any, name: str, dtype: str) -> Any:
        """Return :meth:`forward` computed by native Keras layers; see :meth:`ffnn.layer.Layer.to_keras`."""
        return x if type(self).forward is Input.forward else NotImplemented

    def to_native(self, n_inputs: int) -> tuple[NativeOp, ...] | None:
        """Return what :meth:`forward` does in the ``native`` builder; see :meth:`ffnn.layer.Layer.to_native`."""
        return () if type(self).forward is Input.forward else None

    def adjust_tags(self, tags: Tags) -> None:
        """Adjust the scikit-learn tags of an estimator with this ``input_layer``; by default leave them unchanged."""

    def structure(self) -> Hashable:
        """Return a key of everything that a traced program depends on."""
        return parameters_key(self)

    def scalars(self) -> list[float]:
        """Return the values of the fields named in ``traits.scalars``."""
        return [float(getattr(self, name)) for name in self.traits.scalars]
