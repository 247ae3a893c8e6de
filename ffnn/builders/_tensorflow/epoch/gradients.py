"""The gradients of a batch's mean loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from ffnn.builders._forward import Outputs
from ffnn.builders._tensorflow import ops
from ffnn.ops import Tensor
from ffnn.output import Output

__all__ = ["BatchGradients", "batch_gradients"]


class BatchGradients(NamedTuple):
    """A batch's loss and gradients.

    Parameters
    ----------
    loss : scalar tensor
        The sum of the losses.
    total_weight : scalar tensor
        The sum of the weights of the losses.
    gradients : list of tensor
        The gradients of the mean loss.
    extras : list of tensor
        The new values of the extras.
    """

    loss: Tensor
    total_weight: Tensor
    gradients: list[Tensor]
    extras: list[Tensor]


def batch_gradients(
    output: Output, forward: Callable[[], Outputs], *, sources: Sequence[Tensor], targets: Tensor, weight: Tensor
) -> BatchGradients:
    """Return a batch's loss, and the gradients of its mean.

    Parameters
    ----------
    output : Output
        The network's output, which knows the loss.
    forward : callable
        The forward pass of the batch.
    sources : sequence of tensor
        The tensors that the gradients are taken with respect to.
    targets, weight : tensor
        The batch's targets and sample weights.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(sources)
        outputs = forward()
        loss, total_weight = output.loss(ops, outputs.scores, targets, weight)
        if outputs.penalty is not None:
            loss += outputs.penalty * total_weight
    # for the mean loss; a batch with missing labels only has weight 0, and its gradient is 0 rather than NaN
    share = tf.math.divide_no_nan(tf.ones_like(total_weight), total_weight)
    found = tape.gradient(loss, sources, share, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return BatchGradients(loss, total_weight, found, outputs.extras)
