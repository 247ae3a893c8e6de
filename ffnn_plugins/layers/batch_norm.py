"""The ``batch_norm`` layer: standardises features over the batch in training, by moving averages in prediction.

S. Ioffe and C. Szegedy (2015), "Batch normalization: accelerating deep network training by reducing internal covariate
shift", ICML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ffnn._utils.checks import check_fraction, check_number
from ffnn.layer import Context, Layer, Traits, Weight
from ffnn.ops import Ops, Tensor

__all__ = ["BatchNorm"]


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Standardises each feature over the batch, then applies a learned scale and shift.

    The mean and variance of a batch are weighted by ``sample_weight``, so that a weight of 2 equals a duplicated row;
    rows of weight 0 are in no batch. Every batch, also a smaller last one, updates the moving averages that predictions
    use. A batch of one row has no variance: it is standardised by the moving averages and does not update them.

    Cannot be used with ``solver="lbfgs"``, whose loss must be a function of the weights alone.

    Parameters
    ----------
    momentum : float, default=0.9
        The fraction of the moving averages kept at each batch, in [0, 1). Lower than Keras's 0.99, which needs some
        hundred steps before the averages match the data.
    epsilon : float, default=1e-3
        Added to the variance.
    """

    momentum: float = 0.9
    epsilon: float = 1e-3

    traits = Traits(weighs_rows=True, bfloat16=True)

    def bind(self, values: Mapping[str, Any]) -> Layer | None:
        remedy = "It is the fraction of the moving averages kept at each batch; 0.9 is usual."
        check_fraction("BatchNorm.momentum", self.momentum, remedy)
        remedy = "It prevents a division by zero; 1e-3 is usual."
        check_number("BatchNorm.epsilon", self.epsilon, remedy, positive=True)
        return self

    def weights(self, n_inputs: int) -> dict[str, Weight]:
        return {
            "gamma": Weight((n_inputs,), "ones"),
            "beta": Weight((n_inputs,), "zeros"),
            "moving_mean": Weight((n_inputs,), "zeros", trainable=False),
            "moving_variance": Weight((n_inputs,), "ones", trainable=False),
        }

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        dtype, x = x.dtype, ops.cast(x, weights["gamma"].dtype)  # sums need more precision than bfloat16
        moving_mean, moving_variance = weights["moving_mean"], weights["moving_variance"]
        mean, variance = moving_mean, moving_variance
        if context.training:
            share = ops.reshape(context.row_weight, (-1, 1))
            share = share / ops.sum(share)
            batch_mean = ops.sum(share * x, axis=0)
            batch_variance = ops.sum(share * ops.square(x - batch_mean), axis=0)
            # 1, or 0 for a batch of one row
            several = ops.minimum(ops.sum(ops.ones_like(share)) - 1, 1)
            mean = several * batch_mean + (1 - several) * mean
            variance = several * batch_variance + (1 - several) * variance
            rate = several * (1 - self.momentum)
            context.updates["moving_mean"] = moving_mean + rate * (batch_mean - moving_mean)
            context.updates["moving_variance"] = moving_variance + rate * (batch_variance - moving_variance)
        scale = weights["gamma"] / ops.sqrt(variance + self.epsilon)
        return ops.cast((x - mean) * scale + weights["beta"], dtype)

    def to_keras(self, keras: Any, x: Any, name: str, dtype: str) -> Any:
        normalise = keras.layers.BatchNormalization(
            momentum=self.momentum, epsilon=self.epsilon, name=name, dtype=dtype
        )
        return normalise(x)
