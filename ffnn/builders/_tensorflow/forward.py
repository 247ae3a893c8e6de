"""The forward pass of a network, as the graphs of training and prediction call it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ffnn.builders._state import Specs

if TYPE_CHECKING:
    from ffnn.network import Network

__all__ = ["Architecture", "Forward", "Outputs", "StepInputs"]

Tensor = Any


class StepInputs(NamedTuple):
    """The inputs of the forward pass in a training step, in addition to the batch.

    Parameters
    ----------
    scalars : tensor of shape (n_scalars,)
        The network's scalars, such as dropout rates.
    seed : int32 tensor of shape (2,)
        The step's seed.
    row_weight : tensor of shape (n_rows,)
        The sample weights.
    """

    scalars: Tensor
    seed: Tensor
    row_weight: Tensor


class Outputs(NamedTuple):
    """The result of a forward pass.

    Parameters
    ----------
    scores : tensor of shape (n_rows, n_outputs)
        The scores, or the values after the last computed stage.
    extras : list of tensor
        The new values of the extras.
    penalty : scalar tensor or None
        A term added to the mean loss.
    """

    scores: Tensor
    extras: list[Tensor]
    penalty: Tensor | None


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
