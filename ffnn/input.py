"""What an input is: the plugin that takes X as the user gave it to the engine, in the cheapest form.

An input prepares X once, on the host, as a few plain arrays; the builder moves them to its device and lets the input
gather each batch from them there, in the engine's own operations.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator

from ffnn.documented import Documented
from ffnn.structure import parameters_key

if TYPE_CHECKING:
    from types import SimpleNamespace

    from sklearn.utils import Tags

    from ffnn.layer import Weight
    from ffnn.ops import Ops, Tensor

__all__ = ["Input", "Rows", "SparseRows"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Rows:
    """A data set as its input prepared it: what a model loads.

    Parameters
    ----------
    arrays : tuple of ndarray
        The arrays that the input gathers batches from.
    n_rows : int
        The number of samples.
    """

    arrays: tuple[np.ndarray[Any, Any], ...]
    n_rows: int


@dataclass(frozen=True)
class SparseRows:
    """A batch of sparse rows.

    Parameters
    ----------
    splits : integer tensor of shape (n_rows + 1,)
        Where each row's entries begin among the stored ones, and where the last row's end.
    columns : integer tensor of shape (n_stored,)
        The column of each stored entry.
    values : tensor of shape (n_stored,)
        Its value.
    shape : sequence of int or scalar tensor
        Of the matrix.
    """

    splits: Tensor
    columns: Tensor
    values: Tensor
    shape: Sequence[Any]

    def map(self, function: Callable[[Tensor], Tensor]) -> SparseRows:
        """Return the batch with ``function`` applied to its stored values."""
        return replace(self, values=function(self.values))

    def dense(self, ops: Ops) -> Tensor:
        """Return the batch as a dense tensor."""
        return ops.scatter(self.splits, self.columns, self.values, self.shape)

    def matmul(self, ops: Ops, weight: Tensor) -> Tensor:
        """Return the product with a matrix of shape (n_columns, n), at a cost that follows the stored entries."""
        return ops.sparse_matmul(self.splits, self.columns, self.values, weight)


class Input(Documented, BaseEstimator, ABC):
    """Takes X to the engine.

    An input may also transform what enters the network (an embedding, say): then it overrides :meth:`forward` and,
    where it needs them, :meth:`n_outputs` and :meth:`weights`, with a layer's meaning.
    """

    #: Whether batches are :class:`SparseRows`.
    sparse: ClassVar[bool] = False
    #: How a batch may meet the first weights, the best way first; an engine takes the first that it can. ``"dense"``,
    #: which all can, makes sparse rows dense; ``"stored"`` goes entry by entry; ``"fused"`` steps on the way.
    paths_: tuple[str, ...] = None  # type: ignore[assignment]  # nothing has been learned yet; "dense" alone
    #: As a layer's; an input that transforms its batch draws nothing by default.
    tensors: ClassVar[tuple[str, ...]] = ()
    random: ClassVar[bool] = False

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

    def forward(self, ops: Ops, x: Tensor, p: SimpleNamespace, *, training: bool) -> Tensor:
        """Return what the input passes on for a batch; by default the batch itself."""
        return x

    def to_keras(self, keras: Any, x: Any, name: str, dtype: str) -> Any:
        """Return the Keras tensor that native Keras layers make of ``x``; see :meth:`ffnn.layer.Layer.to_keras`."""
        return x if type(self).forward is Input.forward else NotImplemented

    def adjust_tags(self, tags: Tags) -> None:
        """Say in scikit-learn's tags what an estimator with this ``input_layer`` does not take; nothing by default."""

    def structure(self) -> Hashable:
        """Return what a traced program depends on."""
        return parameters_key(self)

    def scalars(self) -> list[float]:
        """Return the values of the fields named in ``tensors``."""
        return [float(getattr(self, name)) for name in self.tensors]
