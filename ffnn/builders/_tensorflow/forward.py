"""The forward pass of a network, as the graphs of training and prediction call it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ffnn.builders._forward import Outputs, StepInputs
from ffnn.builders._state import Specs
from ffnn.ops import Tensor

if TYPE_CHECKING:
    from ffnn.network import Network

__all__ = ["Architecture", "Forward"]


class Forward(Protocol):
    """The forward pass of an architecture."""

    def __call__(
        self,
        *,
        weights: Sequence[Tensor],
        extras: Sequence[Tensor],
        x: Any,
        training: StepInputs | None = None,
        n_stages: int | None = None,
    ) -> Outputs:
        """Return the scores of a batch.

        Parameters
        ----------
        weights, extras : sequence of tensor
            The weights trained by gradients, and those that are learned in other ways, such as moving means.
        x : tensor or SparseRows of shape (n_rows, n_features)
            The batch, after the entry stages.
        training : StepInputs, optional
            The inputs of a training step; by default the network predicts.
        n_stages : int, optional
            Stop after this many stages.
        """
        ...


@dataclass(frozen=True)
class Architecture:
    """A network and its forward pass, from which a program is made.

    Parameters
    ----------
    network : Network
        The description.
    forward : Forward
        The forward pass, without the entry stages.
    entry : Network
        The first stages, if they act on sparse rows and have no weights; they are applied when a batch is made.
    specs : mapping of str to (shape, dtype)
        All weights: the trained ones first, then the extras.
    decays : mapping of str to bool
        The trained weights, and whether weight decay acts on each.
    by_feature : sequence of str
        The trained weights that have one row per feature and are multiplied with sparse rows.
    may_pad : bool
        Whether a batch may be padded with rows of weight 0 without changing the results of the others.
    """

    network: Network
    forward: Forward
    entry: Network
    specs: Specs
    decays: Mapping[str, bool]
    by_feature: Sequence[str]
    may_pad: bool = True
