"""The inputs and the result of a forward pass on any engine."""

from __future__ import annotations

from typing import NamedTuple

from ffnn.ops import Tensor

__all__ = ["Outputs", "StepInputs"]


class StepInputs(NamedTuple):
    """The inputs of the forward pass in a training step, in addition to the batch.

    Parameters
    ----------
    scalars : tensor of shape (n_scalars,) or None
        The network's scalars, such as dropout rates; None if they are constants of the layers.
    seed : int32 tensor of shape (2,)
        The step's seed.
    row_weight : tensor of shape (n_rows,)
        The sample weights.
    """

    scalars: Tensor | None
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
