"""The layer called ``activation``: a function of each value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ffnn._utils.checks import unknown_name
from ffnn.layer import Context, Layer, Traits
from ffnn.native import NativeOp
from ffnn.ops import Ops, Tensor

__all__ = ["ACTIVATIONS", "Activation"]

#: Name in the parameter → name among a builder's operations, and in Keras.
ACTIVATIONS = {
    "elu": "elu",
    "gelu": "gelu",
    "leaky_relu": "leaky_relu",
    "logistic": "sigmoid",
    "mish": "mish",
    "relu": "relu",
    "selu": "selu",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "softplus": "softplus",
    "swish": "silu",
    "tanh": "tanh",
}
# Keras's own have constants rounded to float32, in float64 too
_ROUNDED = ("gelu", "leaky_relu")
_LINEAR = (None, "linear", "identity")


@dataclass(frozen=True)
class Activation(Layer):
    """A function of each value.

    Parameters
    ----------
    activation : str, callable or None
        A name in ``ACTIVATIONS``, or a function of a tensor that the builder's engine understands; None takes the
        estimator's.
    """

    activation: str | Callable[[Any], Any] | None = None

    traits = Traits(bfloat16=True)

    def bind(self, values: Mapping[str, Any]) -> Layer | None:
        bound = super().bind(values)
        if not isinstance(bound, Activation) or bound.activation in _LINEAR:
            return None
        if not callable(bound.activation) and bound.activation not in ACTIVATIONS:
            raise unknown_name("activation", bound.activation, sorted(ACTIVATIONS), "a callable, or None for linear")
        return bound

    def forward(self, ops: Ops, x: Tensor, weights: Mapping[str, Tensor], context: Context) -> Tensor:
        if callable(self.activation):
            return _call(self.activation, self.activation, x)
        name = ACTIVATIONS[str(self.activation)]
        return mish(ops, x) if name == "mish" else getattr(ops, name)(x)

    def to_native(self, n_inputs: int) -> tuple[NativeOp, ...] | None:
        if callable(self.activation):
            return None
        return (NativeOp("function", function=ACTIVATIONS[str(self.activation)]),)

    def to_keras(self, keras: Any, x: Any, name: str, dtype: str) -> Any:
        if dtype == "float64" and self.activation in _ROUNDED:
            return NotImplemented
        function = self.activation if callable(self.activation) else ACTIVATIONS[str(self.activation)]
        return _call(self.activation, keras.layers.Activation(function, name=name, dtype=dtype), x)


def mish(ops: Ops, x: Tensor) -> Tensor:
    """Return ``x * tanh(softplus(x))``.

    D. Misra (2020), "Mish: a self regularized non-monotonic activation function", BMVC.
    """
    return x * ops.tanh(ops.softplus(x))


def _call(activation: Any, function: Callable[[Any], Any], x: Tensor) -> Tensor:
    """Return ``function(x)``; say which activation it was that failed."""
    try:
        return function(x)
    except Exception as error:  # whatever an engine says of a function that is not its own
        raise TypeError(
            f"activation={activation!r} failed on the builder's {type(x).__name__}: {type(error).__name__}: {error} "
            "Give a function of the builder's engine, such as tensorflow.tanh or keras.ops.tanh, or a name: 'tanh'."
        ) from error
